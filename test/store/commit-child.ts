/**
 * A program for the kill tests: commits for ever and tells each batch on stdout once it is committed.
 * Batch n (numbers go on from what the store holds) appends event n to `t` and puts n into one of
 * seven documents, together.
 * Arguments: directory, durability, boot id.
 */
import { lmdbStore } from '../../src/store/lmdb.js';
import { append, put, Writer } from './writer.js';

const [path = '', durability, bootId] = process.argv.slice(2);
const store = lmdbStore({ path, durability: durability === 'power' ? 'power' : 'process', bootId });
/** Done when the pipe has it: from then on it outlives this process. */
const tell = (line: string): Promise<void> =>
  new Promise((resolve, reject) => {
    process.stdout.write(`${line}\n`, (error) => (error ? reject(error) : resolve()));
  });
const { generation, meta } = await store.open();
const writer = new Writer(store);
let number = (await store.topic('t'))?.head ?? 0;
await tell(`open ${generation} ${meta.counter}`);
for (;;) {
  number++;
  writer.meta = { time: number, counter: number, incarnation: 0 };
  await writer.commit(append('t', number), put('docs', `${number % 7}`, `${number}`));
  await tell(`${number}`);
}
