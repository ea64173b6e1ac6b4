/**
 * Rules 1 to 7 at once: whatever clients ask for and whatever network and server do, each client is told just what a
 * small model says. SEED=… runs a failure again, MODEL_PATH=… goes to its shrunk commands, MODEL_RUNS=… tries harder.
 */
import t, { type Test } from 'tap';
import { concat, decodeAll, encode } from '../../src/protocol/codec.js';
import { Op } from '../../src/protocol/frames.js';
import { environmentSeed } from '../random.js';
import { engine, storeName } from '../support/server.js';
import { runModel, type ModelOptions } from './model/run.js';

const { MODEL_RUNS = '25', MODEL_PATH } = process.env;

function options(t: Test, seed: number): ModelOptions {
  const store = storeName === 'lmdb' ? 'lmdb' : 'memory';
  return { seed, engine, store, path: t.testdir(), runs: Number(MODEL_RUNS), commands: 60 };
}

t.test('all that clients are told is what the model says', async (t) => {
  const result = await runModel({ ...options(t, environmentSeed()), replay: MODEL_PATH });
  const { seed, runs, commands, seconds, complaints } = result;
  t.comment(`SEED=${seed}: ${commands} commands in ${runs} runs, ${seconds.toFixed(1)} s`);
  t.strictSame(complaints, []);
});

/** Takes the last event out of every EVENTS frame that has several. */
function forgetful(message: Uint8Array): Uint8Array {
  const frames = decodeAll(message).map((frame) => {
    return frame[0] === Op.EVENTS && frame.length > 4 ? frame.slice(0, -1) : frame;
  });
  return concat(frames.map((frame) => encode(frame)));
}

t.test('a network that loses an event is found', async (t) => {
  const { complaints } = await runModel({ ...options(t, 1), tamper: forgetful });
  t.match(complaints[0], /was told (up to \d+ of \d+|reset between events)/);
  t.match(complaints[1], /^SEED=1 MODEL_PATH='/);
});

t.test('a server that keeps a member too long is found', async (t) => {
  const { complaints } = await runModel({ ...options(t, 1), rooms: { memberTtl: 60_000 } });
  t.match(complaints[0], /what was added to room:|room . on the server/);
});
