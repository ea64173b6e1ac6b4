/** What a cluster may rely on, whichever engine keeps its log. Each engine's test file runs all of it. */
import t from 'tap';
import { checkNext } from '../../src/journal/end.js';
import {
  hashOfLog,
  type Announced,
  type BrokenLog,
  type Journal,
  type JournalRecord,
} from '../../src/journal/journal.js';
import type { StoreError } from '../../src/store/store.js';
import { until } from '../support/until.js';
import { all, brokenAfter, bytes, each, fail, ids, kind, numbers, read, refusal, same, seqs } from './reading.js';

export type Test = typeof t;

/** One log in an engine, which no other test uses, and what can be done to it. */
export interface Bench {
  /** A handle of one more node, not open yet. Whoever makes the bench closes it. */
  journal(): Journal;
  /** Makes the log full until it is undone. */
  fill(): Promise<() => Promise<void>>;
  /** Forgets the newest records behind everybody's back. */
  loseEnd(count: number): Promise<void>;
  /** Puts other records in place of the newest ones. */
  rewriteEnd(count: number): Promise<void>;
  /** Deletes the log, and makes it anew. */
  replace(): Promise<void>;
  /** The next append is done, and its answer is lost. */
  loseReply(journal: Journal): void;
  /** How many records may outlive their truncation. */
  readonly coarse: number;
}

export interface ConformanceOptions {
  /** The test that it is a part of: what the engines need may be up only so long. */
  readonly t?: Test;
  /** How often two writers race. */
  readonly races?: number;
}

export function journalConformance(
  name: string,
  create: (t: Test) => Bench | Promise<Bench>,
  { t: parent = t, races = 1_000 }: ConformanceOptions = {},
): void {
  const test = (title: string, run: (t: Test, bench: Bench) => Promise<void>): void => {
    void parent.test(`${name}: ${title}`, async (t) => {
      await run(t as Test, await create(t as Test));
    });
  };
  /** A log with so many records, and the handle that wrote them. */
  const written = async (bench: Bench, count: number): Promise<Journal> => {
    const journal = bench.journal();
    await journal.open();
    for (let after = 0; after < count; after++) await journal.append(after, `id-${after + 1}`, bytes(after + 1));
    return journal;
  };

  test('a new log is empty, and every handle finds the same one', async (t, bench) => {
    const [a, b] = [bench.journal(), bench.journal()];
    const [one, other] = await Promise.all([a.open(), b.open()]);
    t.strictSame([one.first, one.head], [1, 0]);
    t.strictSame(one, other);
    t.match(one.id, /^[\w-]{8,64}$/);
    t.strictSame(await a.answers(), { head: 0 });
    t.equal(await a.loadSnapshot(), undefined);
    t.ok(a.maxBytes >= 65_536);
  });

  test('an append gets the number after the one it names, and only if that is the newest', async (t, bench) => {
    const a = await written(bench, 3);
    t.strictSame(await a.answers(), { head: 3 });
    const b = bench.journal();
    const { first, head } = await b.open();
    t.strictSame([first, head], [1, 3]);
    t.equal((await b.append(3, 'b-4', bytes(4))).seq, 4);
    for (const after of [0, 1, 2, 3]) t.equal(await kind(a.append(after, 'late', bytes(9))), 'unusable', `${after}`);
    t.equal(await kind(b.append(7, 'early', bytes(9))), 'unusable');
    t.strictSame(await bench.journal().open(), { ...(await bench.journal().open()), head: 4 });
  });

  test('the same id again is the same append', async (t, bench) => {
    const a = await written(bench, 2);
    t.equal((await a.append(1, 'id-2', bytes(2))).seq, 2);
    t.equal((await a.append(2, 'id-3', bytes(3))).seq, 3);
    t.equal((await a.append(2, 'id-3', bytes(3))).seq, 3);
    t.equal((await a.append(3, 'id-4', bytes(4))).seq, 4);
    // An id of long ago is no reason to think that it is there.
    t.equal(await kind(a.append(3, 'id-2', bytes(4))), 'unusable');
    t.strictSame(await a.answers(), { head: 4 });
  });

  test('a lost reply is unknown, and a repeat finds out', async (t, bench) => {
    const a = await written(bench, 2);
    bench.loseReply(a);
    t.equal(await kind(a.append(2, 'x', bytes(3))), 'unknown');
    t.equal((await a.append(2, 'x', bytes(3))).seq, 3);
    t.equal((await a.append(3, 'y', bytes(4))).seq, 4);
    bench.loseReply(a);
    t.equal(await kind(a.append(4, 'z', bytes(5))), 'unknown');
    const b = bench.journal();
    await b.open();
    t.equal((await b.append(5, 'other', bytes(6))).seq, 6);
    t.equal((await a.append(4, 'z', bytes(5))).seq, 5, 'also when others went on');
    t.equal(await kind(a.append(5, 'next', bytes(6))), 'unusable');
    t.strictSame(ids(await read(b, 0, 6)), ['id-1', 'id-2', 'x', 'y', 'z', 'other']);
  });

  test('records keep their ids and bytes, and hash what was before them', async (t, bench) => {
    const a = bench.journal();
    const { id } = await a.open();
    const most = new Uint8Array(a.maxBytes).fill(7);
    const sent = [new Uint8Array(0), Uint8Array.of(0, 255, 10), most];
    const names = ['!', 'a:b/c.d-e_f=~', 'x'.repeat(64)];
    for (const [i, part] of sent.entries()) await a.append(i, names[i] as string, part);
    const records = await read(a, 0, 3);
    t.strictSame(ids(records), names);
    for (const [i, part] of sent.entries()) t.equal(Buffer.compare(records[i]?.bytes as Uint8Array, part), 0);
    let point = { seq: 0, hash: hashOfLog(id) };
    for (const record of records) {
      checkNext(point, record);
      point = record;
    }
  });

  test('what is too large or has no fit id is refused', async (t, bench) => {
    const a = await written(bench, 1);
    t.equal(await kind(a.append(1, 'big', new Uint8Array(a.maxBytes + 1))), 'refused');
    for (const id of ['', 'a b', 'é', 'x'.repeat(65)]) t.equal(await kind(a.append(1, id, bytes(1))), 'refused', id);
    t.equal((await a.append(1, 'ok', bytes(2))).seq, 2);
  });

  test('a full log refuses and forgets nothing', async (t, bench) => {
    const a = await written(bench, 5);
    const undo = await bench.fill();
    t.equal(await kind(a.append(5, 'full', bytes(6))), 'refused');
    t.equal(await kind(a.append(5, 'full', bytes(6))), 'refused');
    t.equal((await a.append(4, 'id-5', bytes(5))).seq, 5, 'what is there is still done');
    t.equal((await read(a, 0, 5)).length, 5);
    await undo();
    t.equal((await a.append(5, 'full', bytes(6))).seq, 6);
  });

  test('following begins after any number, goes on with what comes, and ends', async (t, bench) => {
    const a = await written(bench, 40);
    const b = bench.journal();
    await b.open();
    for (const after of [0, 1, 17, 39, 40]) {
      const got: number[] = [];
      const { stop } = b.follow(after, ({ seq }) => void got.push(seq), fail);
      await until(() => got.length === 40 - after, `what follows ${after}`);
      stop();
      t.strictSame(got, numbers(after + 1, 40));
    }
    const got: JournalRecord[] = [];
    const { stop } = b.follow(38, (record) => void got.push(record), fail);
    await until(() => got.length === 2);
    await a.append(40, 'id-41', bytes(41));
    await until(() => got.length === 3, 'the record that came');
    await b.append(41, 'own', bytes(42));
    await until(() => got.length === 4, 'its own record');
    stop();
    await b.append(42, 'after', bytes(43));
    t.strictSame(ids(await read(b, 41, 2)), ['own', 'after']);
    t.strictSame(ids(got), ['id-39', 'id-40', 'id-41', 'own']);
  });

  test('truncated records are gone, the newest stays, and a follower from before is told', async (t, bench) => {
    const count = 8 + 3 * bench.coarse;
    const a = await written(bench, count);
    await a.truncate(0);
    t.strictSame((await bench.journal().open()).first, 1);
    const before = count - 3;
    await a.truncate(before);
    const b = bench.journal();
    const { first, head } = await b.open();
    t.equal(head, count);
    t.ok(first <= before && first > 1 && first >= before - bench.coarse, `${first} is about ${before}`);
    t.strictSame(seqs(await read(b, first - 1, head - first + 1)), numbers(first, head));
    t.equal((await brokenAfter(b, first - 2)).reason, 'truncated');
    t.equal(await kind(b.append(0, 'id-1', bytes(1))), 'unusable');
    t.equal((await b.append(head, 'goes-on', bytes(1))).seq, head + 1);
    await a.truncate(1_000_000);
    const all = await bench.journal().open();
    t.equal(all.head, head + 1);
    t.ok(all.first <= all.head, 'the newest stays');
    t.equal((await b.append(head + 1, 'and-on', bytes(1))).seq, head + 2);
  });

  test('a log that lost its end is told to those who knew it', async (t, bench) => {
    const a = await written(bench, 10);
    const b = bench.journal();
    await b.open();
    const got: number[] = [];
    const broken: BrokenLog[] = [];
    b.follow(
      0,
      ({ seq }) => void got.push(seq),
      (error) => broken.push(error),
    );
    await until(() => got.length === 10);
    await bench.loseEnd(3);
    const error = await refusal(a.append(10, 'next', bytes(11)));
    t.equal((error as BrokenLog).reason, 'lost');
    t.equal((await refusal(a.append(7, 'next', bytes(11))))?.kind, 'unusable', 'and it stays of no use');
    await until(() => broken.length > 0, 'that the follower is told');
    t.equal(broken[0]?.reason, 'lost');
    const c = bench.journal();
    t.equal((await c.open()).head, 7);
    t.equal((await brokenAfter(c, 10)).reason, 'lost');
    t.equal((await (await reopened(bench)).append(7, 'new', bytes(8))).seq, 8);
    t.equal(broken.length, 1);
  });

  test('a log whose end was rewritten is told', async (t, bench) => {
    const a = await written(bench, 10);
    const b = bench.journal();
    await b.open();
    const got: number[] = [];
    const broken: BrokenLog[] = [];
    b.follow(
      0,
      ({ seq }) => void got.push(seq),
      (error) => broken.push(error),
    );
    await until(() => got.length === 10);
    await bench.rewriteEnd(4);
    t.equal((await refusal(a.append(10, 'next', bytes(11))))?.kind, 'unusable');
    await (await reopened(bench)).append(10, 'on-top', bytes(11));
    await until(() => broken.length > 0, 'that the follower is told');
    t.equal(broken[0]?.reason, 'rewritten');
    t.strictSame(got, numbers(1, 10), 'and nothing of it is given');
  });

  test('another log under the same name is told', async (t, bench) => {
    const a = await written(bench, 4);
    const b = bench.journal();
    const { id } = await b.open();
    const broken: BrokenLog[] = [];
    b.follow(
      4,
      () => undefined,
      (error) => broken.push(error),
    );
    await bench.replace();
    await until(() => broken.length > 0, 'that the follower is told');
    t.match(broken[0]?.reason, /^(lost|replaced)$/);
    t.equal((await refusal(a.append(4, 'next', bytes(5))))?.kind, 'unusable');
    const state = await bench.journal().open();
    t.not(state.id, id);
    t.equal(state.head, 0);
  });

  test('a snapshot is kept in parts, and replaced as a whole', async (t, bench) => {
    const a = await written(bench, 9);
    const large = new Uint8Array(a.maxBytes).map((_, i) => i % 251);
    const first = [Uint8Array.of(1), large, new Uint8Array(0), Uint8Array.of(2, 3)];
    await a.saveSnapshot(4, each(first));
    const b = bench.journal();
    await b.open();
    const loaded = await b.loadSnapshot();
    t.equal(loaded?.at, 4);
    t.equal(same(await all(loaded?.parts), first), true);
    const failing = async function* (): AsyncIterable<Uint8Array> {
      yield Uint8Array.of(9);
      await Promise.resolve();
      throw new Error('no more');
    };
    t.equal(await kind(a.saveSnapshot(7, failing())), 'refused');
    t.equal(await kind(a.saveSnapshot(7, each([new Uint8Array(a.maxBytes + 1)]))), 'refused');
    t.equal((await b.loadSnapshot())?.at, 4, 'half a snapshot is none');
    const old = await b.loadSnapshot();
    await a.saveSnapshot(8, each([Uint8Array.of(8)]));
    t.equal(same(await all(old?.parts), first), true, 'a reader finishes the one before');
    t.equal(await kind(b.saveSnapshot(5, each([Uint8Array.of(5)]))), 'refused', 'an older one never replaces it');
    const last = await b.loadSnapshot();
    t.equal(last?.at, 8);
    t.equal(same(await all(last?.parts), [Uint8Array.of(8)]), true);
    await b.saveSnapshot(9, each([]));
    t.strictSame([(await a.loadSnapshot())?.at, await all((await a.loadSnapshot())?.parts)], [9, []]);
  });

  test(`of two writers who race ${races} times for a number one wins each`, async (t, bench) => {
    const [a, b] = [bench.journal(), bench.journal()];
    await Promise.all([a.open(), b.open()]);
    const won = [0, 0];
    const expected: string[] = [];
    for (let after = 0; after < races; after++) {
      const results = await Promise.all(
        [a, b].map((journal, i) =>
          journal.append(after, `${i}-${after}`, bytes(i)).then(
            ({ seq }) => seq === after + 1,
            (error: unknown) => {
              if ((error as StoreError).kind !== 'unusable') throw error;
              return false;
            },
          ),
        ),
      );
      const winner = results.indexOf(true);
      if (results.filter(Boolean).length !== 1) return void t.fail(`${after}: ${results.join()}`);
      won[winner] = (won[winner] as number) + 1;
      expected.push(`${winner}-${after}`);
    }
    t.strictSame(ids(await read(a, 0, races)), expected);
    t.comment(`${name}: ${won.join(' to ')}`);
  });

  test('what a node tells beside the log is told to all, the newest of each, and is no record', async (t, bench) => {
    const a = await written(bench, 1);
    const b = bench.journal();
    await b.open();
    await a.announce('a', Buffer.from('first'));
    await b.announce('b, é', Buffer.from('other'));
    await a.announce('a', Buffer.from('second'));
    let told: readonly Announced[] = [];
    // Where nodes are asked, a busy one may answer late.
    for (let tries = 0; told.length < 2 && tries < 20; tries++) told = await b.announced();
    t.strictSame(
      told.map(({ node, bytes }) => [node, Buffer.from(bytes).toString()]),
      [
        ['a', 'second'],
        ['b, é', 'other'],
      ],
    );
    t.ok(told.every(({ ageMs }) => ageMs >= 0 && ageMs < 60_000));
    t.strictSame(await a.answers(), { head: 1 });
    t.equal((await a.append(1, 'id-2', bytes(2))).seq, 2);
  });

  test('a closed handle does nothing more', async (t, bench) => {
    const a = await written(bench, 1);
    a.follow(0, () => undefined, fail);
    await a.close();
    await a.close();
    t.equal(await kind(a.append(1, 'x', bytes(1))), 'unusable');
    t.equal(await kind(a.answers()), 'unusable');
    t.equal(await kind(a.announced()), 'unusable');
    t.equal(await kind(bench.journal().answers()), 'unusable', 'nor does one that was never opened');
  });

  async function reopened(bench: Bench): Promise<Journal> {
    const journal = bench.journal();
    await journal.open();
    return journal;
  }
}
