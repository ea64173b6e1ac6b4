/**
 * `roomwire serve --test`: a server for the tests of programs in any language. The first line on stdout says where it is and
 * how to come in; each line on stdin is a step (protocol/faults.ts, or one that asks for a token), each answer one line
 * after it was done. It ends with stdin.
 */
import { createInterface } from 'node:readline';
import * as v from 'valibot';
import { RoomwireError } from '../protocol/errors.js';
import type { RoomsApi } from '../rooms/rooms.js';
import { lineLog } from '../server/watch/line-log.js';
import { Fault, readStep } from '../protocol/faults.js';
import { startTestServer } from '../testing/server.js';
import type { Config } from './config.js';
import { refuseEarly, roomsOf, servedOptions } from './served.js';

const Step = v.variant('do', [
  ...Fault.options,
  v.strictObject({
    do: v.literal('token'),
    user: v.pipe(v.string(), v.minLength(1)),
    claims: v.optional(v.record(v.string(), v.unknown()), {}),
  }),
]);

export async function serveTest(config: Config): Promise<void> {
  const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
  const options = refuseEarly(() => servedOptions(config, (): RoomsApi => roomsOf(test.server)));
  // The default is nobody's wish: tests run side by side.
  const port = config.port === 8420 ? 0 : config.port;
  const test = await startTestServer({ ...options, port, log: { ...lineLog, info() {} } });
  say({ url: test.url, apiKey: test.apiKey, secret: test.secret });
  const end = (): void => void process.stdin.destroy();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end);
  for await (const line of createInterface(process.stdin)) {
    try {
      const step = readStep(Step, line);
      if (step.do === 'token') say({ token: await test.token(step.user, step.claims) });
      else {
        await test.fault(step);
        say({ done: step.do });
      }
    } catch (error) {
      const { code, name, message } = error instanceof RoomwireError ? error : new RoomwireError('handler_failed');
      if (!(error instanceof RoomwireError)) lineLog.error({ err: error }, 'the step failed');
      say({ error: { code, name, message } });
    }
  }
  await test.close();
}
