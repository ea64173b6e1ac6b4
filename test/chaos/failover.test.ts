/**
 * What a cluster promises when its hub ends while clients are at work, whichever way: nothing that was acknowledged is lost or
 * doubled, epochs stay, tokens of locks grow, and nobody is shown to leave. SEED=… runs a failure again.
 */
import t from 'tap';
import { environmentSeed } from '../random.js';
import { edgeCount } from '../support/edge.js';
import { noMachines, startMachines } from '../support/machine.js';
import { noPostgres, startPostgres } from '../support/postgres.js';
import { engine } from '../support/server.js';
import { runFailovers, type FailoverOptions } from './failover.js';

t.setTimeout(240_000);

// Once in all of CI: what else varies there is not what makes a failover, and each node holds its sockets in an edge anyway.
const skip = noPostgres || (engine === 'ws' || edgeCount > 0 ? 'runs on the usual pair' : false);

async function survives(t: Test, options: Pick<FailoverOptions, 'failovers' | 'endings' | 'machines'>): Promise<void> {
  const seed = environmentSeed();
  t.comment(`SEED=${seed}`);
  const result = await runFailovers({
    ...{ ...options, seed, engine, log: await startPostgres(t), path: t.testdir() },
    progress: (line) => t.comment(line),
  });
  const { complaints, deliveries, acknowledged, grants, lost, doubled, resets, seconds } = result;
  t.comment(`${deliveries} deliveries, ${acknowledged} acknowledged, ${grants} grants, ${seconds.toFixed(1)} s`);
  t.strictSame(complaints, [], `SEED=${seed}`);
  t.strictSame([lost, doubled, resets, result.failovers], [0, 0, 0, options.failovers]);
  const each = options.failovers;
  t.ok(deliveries > 300 * each && acknowledged > 100 * each && grants > 3 * each, 'enough happened to judge by');
}

type Test = typeof t;

t.test(
  'three failovers under load (killed, stopped and woken, told to stop) lose nothing and double nothing',
  { skip },
  (t) => survives(t as Test, { failovers: 3, endings: ['kill', 'stop', 'term'] }),
);

t.test(
  'a hub whose cable is pulled under load, to its log and to its clients, ends when it is put back, and nothing is lost or doubled',
  { skip: skip || noMachines },
  (t) => survives(t as Test, { failovers: 2, endings: ['pull'], machines: startMachines(t, 100, 3) }),
);
