/** How the examples start: on the address that they are told, and with a readable line where its port is in use. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const examples = fileURLToPath(new URL('../../examples', import.meta.url));
const runner = fileURLToPath(new URL('../../scripts/example.mjs', import.meta.url));

const other = createServer().listen(0, '127.0.0.1');
t.teardown(() => other.close());
await once(other, 'listening');
const { port } = other.address() as AddressInfo;

for (const name of readdirSync(examples)) {
  t.test(`${name} says in one line that its port is in use`, async (t) => {
    const args = [runner, name, '--host', '127.0.0.1', '--port', String(port), '--backend-port', '0'];
    const given = name === 'election-updates' ? args : args.slice(0, -2);
    const env = { ...process.env, NODE_OPTIONS: '', ROOMWIRE_EDGE: undefined };
    const { code, stderr } = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
      execFile(process.execPath, given, { env }, (error, _stdout, stderr) => resolve({ code: error?.code, stderr }));
    });
    t.equal(code, 1);
    t.equal(
      stderr.trim().split('\n').at(-1),
      `${name}: the port is in use: stop the other program, or choose one with --port N (0: any free)`,
    );
  });
}
