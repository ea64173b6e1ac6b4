/** `roomwire tail`: follows a topic and prints each event as a line of JSON. */
import { messageOf } from '../protocol/code-texts.js';
import { command, CommandError, numberFlag } from './args.js';
import { printJson, tell } from './print.js';
import { connectTo, remoteFlags } from './remote.js';

export const tail = command({
  name: 'tail',
  usage: '<topic> [options]',
  summary: 'Prints the events of a topic as they come, one JSON object a line, until Ctrl-C.',
  details:
    'room:ID joins the room (as a member others see) and overview:public joins the overview; any other topic is subscribed.',
  takes: [1, 1],
  flags: {
    ...remoteFlags,
    count: { type: 'string', value: 'N', help: 'stop after N events' },
  },
  async run(flags, [topic = '']) {
    const left = flags.count === undefined ? Infinity : numberFlag('count', flags.count, 1, Number.MAX_SAFE_INTEGER);
    const client = await connectTo(flags.url as string, flags.token);
    let printed = 0;
    const room = /^room:(.+)$/.exec(topic)?.[1];
    const group = /^overview:(.+)$/.exec(topic)?.[1];
    const stream =
      room !== undefined ? client.room(room) : group !== undefined ? client.listen(topic) : client.subscribe(topic);
    try {
      await new Promise<void>((resolve, reject) => {
        process.once('SIGINT', () => resolve());
        process.once('SIGTERM', () => resolve());
        stream.on('*', (data, { event, offset, from }) => {
          printJson({ topic, offset, event, from, data });
          if (++printed >= left) resolve();
        });
        stream.on('reset', ({ reason, position }) => tell(`reset: ${reason}; goes on after ${position[1]}`));
        stream.on('removed', ({ reason }) => reject(new CommandError(`removed from ${topic}: ${reason}`)));
        client.state.subscribe(({ status, reason }) => {
          if (status === 'refused') reject(new CommandError(reason?.message ?? 'refused'));
        });
        const started =
          room !== undefined
            ? client.room(room).join()
            : group !== undefined
              ? client.call('join:overview', group === 'public' ? {} : { group })
              : client.subscribe(topic).ready;
        started.then(
          () => tell(`following ${topic}`),
          (error: unknown) => reject(new CommandError(messageOf(error as Error))),
        );
      });
    } finally {
      client.close();
    }
  },
});
