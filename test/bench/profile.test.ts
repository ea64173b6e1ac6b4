/** What the benchmark says of a CPU profile is of the stretch that was measured. */
import t from 'tap';
import { sharesOf } from '../../bench/profile.js';

const frame = (functionName: string, url = '') => ({ callFrame: { functionName, url } });
const profile = {
  startTime: 1_000,
  nodes: [
    { id: 1, ...frame('(idle)') },
    { id: 2, ...frame('send', 'file:///app/dist/server/transport/uws-socket.js') },
    { id: 3, ...frame('(garbage collector)') },
    { id: 4, ...frame('', 'file:///app/dist/server/hub/hub.js') },
  ],
  // Ends at 1100, 1200 … 1800.
  samples: [4, 2, 2, 1, 2, 3, 1, 4],
  timeDeltas: [100, 100, 100, 100, 100, 100, 100, 100],
};

t.test('shares are of the time in which the server was busy, from the busiest function down', (t) => {
  const shares = sharesOf(profile, { from: 1_101, to: 1_700 });
  t.equal(shares, 'busy 66.8 %, send (transport/uws-socket.js) 75.0 %, (garbage collector) 25.0 %');
  t.end();
});

t.test('what came before and after the stretch is not in it', (t) => {
  t.equal(sharesOf(profile, { from: 1_701, to: 1_801 }), 'busy 100.0 %, anonymous (hub/hub.js) 100.0 %');
  t.equal(sharesOf(profile, { from: 1_301, to: 1_400 }), 'busy 0.0 %');
  t.end();
});
