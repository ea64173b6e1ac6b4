/** Calls in both directions: one answer each, at the latest when the connection ends. */
import t from 'tap';
import { Op, type Value } from '../../src/protocol/frames.js';
import { RoomwireError } from '../../src/protocol/errors.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen, type OpenServer } from '../support/open-server.js';
import { until } from '../support/until.js';

t.test('a call is answered with what its handler returns', async (t) => {
  const { client } = await startOpen(t);
  const caller = await client();
  for (const value of [null, 0, -1.5, 'text', [1, [2]], { a: { b: true } }]) {
    t.strictSame(await caller.call<Value>('echo', value), value);
  }
  t.strictSame(await caller.call<Value>('strict', { n: 1, more: 'left out by the schema' }), { n: 1 });
});

t.test('rule 5: an unknown call answers unknown_call', async (t) => {
  const { client } = await startOpen(t, { without: ['drop'] });
  const caller = await client();
  for (const name of ['no:such:call', 'drop', '__proto__', 'constructor', 'toString']) {
    await t.rejects(caller.call(name), { code: 102 }, name);
  }
});

t.test('input that does not match the contract is refused with the paths of what is wrong', async (t) => {
  const { client } = await startOpen(t);
  const caller = await client();
  await t.rejects(caller.call('strict', { n: 'x' }), { code: 105, details: { issues: [{ path: 'n' }] } });
  await t.rejects(caller.call('strict'), { code: 105 });
  const long = { n: 'x'.repeat(200_000) };
  await t.rejects(caller.call('strict', long), { code: 105 });
  const nack = caller.frames.findLast(([op]) => op === Op.NACK);
  t.ok(JSON.stringify(nack).length < 10_000, 'the refusal does not send the data back');
});

t.test(
  "a call's policy is believed for true and for what it consulted alone, which its handler is given",
  async (t) => {
    const answers: Record<string, unknown> = {
      ...{
        yes: true,
        told: { consulted: ['a'] },
        nothing: { consulted: undefined },
        later: Promise.resolve({ consulted: 7 }),
      },
      ...{
        no: false,
        one: 1,
        text: 'yes',
        none: null,
        missing: undefined,
        empty: {},
        list: ['consulted'],
        other: { allow: true },
      },
      ...{ inherited: Object.create({ consulted: true }) as unknown, lateOther: Promise.resolve({ allow: true }) },
    };
    const { client } = await startOpen(t, {
      without: ['fail', 'drop'],
      callPolicy: {
        fail: ({ input }) => answers[input as string] as boolean,
        drop: ({ input }) => answers[(input as { readonly id: string }).id] as boolean,
      },
      setup(server) {
        server.handle('fail', ({ consulted }) => ({ consulted: consulted ?? 'nothing' }));
        server.handleAtomic('drop', (_tx, { consulted }) => ({ consulted: consulted ?? 'nothing' }));
      },
    });
    const caller = await client();
    const allowed: Record<string, unknown> = { yes: 'nothing', told: ['a'], nothing: 'nothing', later: 7 };
    for (const name of Object.keys(answers)) {
      for (const ask of [() => caller.call<Value>('fail', name), () => caller.call<Value>('drop', { id: name })]) {
        if (name in allowed) t.strictSame(await ask(), { consulted: allowed[name] }, name);
        else await t.rejects(ask(), { code: 106 }, name);
      }
    }
  },
);

t.test('a handler that throws answers 130 and is logged; a RoomwireError of its own reaches the client', async (t) => {
  const { client, log } = await startOpen(t, {
    without: ['fail', 'hang', 'drop'],
    setup(server) {
      server.handle('fail', async () => {
        throw new TypeError('secret detail');
      });
      server.handle('hang', () => {
        throw new RoomwireError('conflict', 'changed', { details: { at: 3 } });
      });
      server.handleAtomic('drop', (tx) => {
        tx.publish('chat:1', 'notice', 'never');
        throw new Error('after a write');
      });
    },
  });
  const caller = await client();
  await caller.subscribe('chat:1');
  const failed = await caller.call('fail').catch((error: Error) => error);
  t.match(failed, { code: 130 });
  t.notMatch((failed as Error).message, /secret/);
  await t.rejects(caller.call('hang'), { code: 114, message: 'changed', details: { at: 3 } });
  await t.rejects(caller.call('drop', { id: '1' }), { code: 130 });
  t.strictSame(
    log.errors.map(({ fields, message }) => [(fields as { call: string }).call, message]),
    [
      ['fail', 'handler failed'],
      ['drop', 'handler failed'],
    ],
  );
  t.strictSame(caller.events('chat:1'), [], 'what it wrote was undone');
});

t.test('rule 8: an answer or an error that cannot be encoded is 130, and the server lives on', async (t) => {
  const { client, log } = await startOpen(t, {
    without: ['fail', 'hang', 'drop'],
    setup(server) {
      server.handle('fail', () => new Date());
      server.handle('hang', () => {
        throw new RoomwireError('conflict', 'half a \ud800 character', { details: { when: new Date() } as never });
      });
      server.handleAtomic('drop', (tx) => {
        tx.publish('chat:1', 'notice', 'never');
        return new Set([1]);
      });
    },
  });
  const caller = await client();
  await caller.subscribe('chat:1');
  await t.rejects(caller.call('fail'), { code: 130 });
  await t.rejects(caller.call('hang'), { code: 114, details: undefined });
  await t.rejects(caller.call('drop', { id: '1' }), { code: 130 });
  t.strictSame(caller.events('chat:1'), [], 'a reply that cannot be sent undoes what it tells of');
  t.equal(log.errors.length, 2);
});

t.test('an atomic handler that returns a promise is refused: its transaction would be over', async (t) => {
  const { client, log } = await startOpen(t, {
    without: ['drop'],
    setup: (server) =>
      server.handleAtomic('drop', async (tx) => {
        tx.publish('chat:1', 'notice', 'never');
        await Promise.reject(new Error('unheard'));
      }),
  });
  const caller = await client();
  await caller.subscribe('chat:1');
  await t.rejects(caller.call('drop', { id: '1' }), { code: 130 });
  t.match(log.errors[0]?.fields, { err: { message: /synchronous/ } });
  t.strictSame(caller.events('chat:1'), []);
});

t.test('a call that takes too long is answered by deadline, the later answer goes nowhere', async (t) => {
  const time = new ManualTime();
  const { client } = await startOpen(t, { time, pingEvery: 1e9 });
  const caller = await client();
  const [quick, slow] = [caller.call('hang', {}, { timeoutMs: 500 }), caller.call('hang')];
  await caller.barrier();
  time.advance(600);
  await t.rejects(quick, { code: 200 });
  time.advance(9_000);
  await caller.barrier();
  t.equal(caller.frames.filter(([op]) => op === Op.NACK).length, 1);
  time.advance(1_000);
  await t.rejects(slow, { code: 200 }, 'ten seconds when the client names none');
});

t.test('CANCEL answers the call, tells its handler and keeps an atomic one from running', async (t) => {
  let ran = 0;
  const reasons: unknown[] = [];
  const { client } = await startOpen(t, {
    without: ['hang', 'drop'],
    setup(server) {
      server.handle(
        'hang',
        ({ signal }) =>
          new Promise((resolve) => {
            signal.addEventListener('abort', () => resolve(reasons.push(signal.reason)));
          }),
      );
      server.handleAtomic('drop', () => ++ran);
    },
  });
  const caller = await client();
  caller.send(
    [Op.CALL, 51, 'hang', null],
    [Op.CANCEL, 51],
    [Op.CALL, 52, 'drop', { id: '1' }],
    [Op.CANCEL, 52],
    [Op.CANCEL, 99],
  );
  await t.rejects(caller.answer(51), { code: 113 });
  await t.rejects(caller.answer(52), { code: 113 });
  await caller.barrier();
  t.match(reasons, [{ name: 'cancelled' }]);
  t.equal(ran, 0);
  t.equal(caller.frames.filter(([op]) => op === Op.NACK || op === Op.ACK).length, 2, 'one answer each');
});

t.test('a handler learns at once that its client is gone', async (t) => {
  const reasons: unknown[] = [];
  const { client } = await startOpen(t, {
    without: ['hang'],
    setup: (server) =>
      server.handle(
        'hang',
        ({ signal }) =>
          new Promise((resolve) => {
            signal.addEventListener('abort', () => resolve(reasons.push(signal.reason)));
          }),
      ),
  });
  const caller = await client();
  caller.send([Op.CALL, 51, 'hang', null]);
  await caller.barrier();
  caller.cut();
  await until(() => reasons.length > 0);
  t.match(reasons, [{ name: 'disconnected' }]);
});

t.test('an id that still waits is refused, and may be used again after its answer', async (t) => {
  const { client } = await startOpen(t);
  const caller = await client();
  caller.send([Op.CALL, 60, 'hang', null], [Op.CALL, 60, 'echo', 1]);
  await t.rejects(caller.answer(60), { code: 110 });
  caller.send([Op.CANCEL, 60]);
  await caller.frame(([op, id, code]) => op === Op.NACK && id === 60 && code === 113);
  caller.send([Op.CALL, 60, 'echo', 'again']);
  await caller.frame(([op, id, data]) => op === Op.ACK && id === 60 && data === 'again');
});

t.test('rule 4: at most pendingCalls calls wait, in each direction', async (t) => {
  const { client, server } = await startOpen(t, { limits: { pendingCalls: 3 } });
  const caller = await client();
  caller.send(...[1, 2, 3, 4].map((n) => [Op.CALL, 70 + n, 'hang', null]));
  await t.rejects(caller.answer(74), { code: 201 });
  caller.send([Op.CANCEL, 71]);
  t.equal(await caller.call<number>('echo', 1), 1);
  const session = server.session(caller.welcome.session[0])!;
  const waiting = [1, 2, 3].map(() => server.call(session, 'ask', null).catch((error: Error) => error.name));
  await t.rejects(server.call(session, 'ask', null), { name: 'too_many' });
  caller.cut();
  t.strictSame(await Promise.all(waiting), ['disconnected', 'disconnected', 'disconnected']);
});

t.test('the server calls a client: its answer, its error, a deadline', async (t) => {
  const time = new ManualTime();
  const { client, server } = await startOpen(t, { time, pingEvery: 1e9 });
  const callee = await client();
  const session = server.session(callee.welcome.session[0])!;
  const asked = async (name: string): Promise<number> => {
    const frame = await callee.frame(([op, , asked]) => op === Op.CALL && asked === name);
    return frame[1] as number;
  };
  const sum = server.call(session, 'sum', [1, 2]);
  const id = await asked('sum');
  t.strictSame(callee.frames.at(-1), [Op.CALL, id, 'sum', [1, 2], { timeoutMs: 10_000 }]);
  callee.send([Op.ACK, id, 3], [Op.ACK, id, 'twice'], [Op.ACK, 999, 'to nobody']);
  t.equal(await sum, 3);
  const refused = server.call(session, 'refuse', null);
  callee.send([Op.NACK, await asked('refuse'), 106, 'not me', { why: 1 }]);
  await t.rejects(refused, { name: 'forbidden', message: 'not me', details: { why: 1 } });
  const strange = server.call(session, 'strange', null);
  callee.send([Op.NACK, await asked('strange'), 'no number']);
  await t.rejects(strange, { name: 'handler_failed' });
  const late = server.call(session, 'late', null, { timeoutMs: 1_000 });
  await asked('late');
  time.advance(1_100);
  await t.rejects(late, { name: 'deadline' });
  await t.rejects(server.call(session, 'bad', new Date()), { name: 'EncodeError' });
});

t.test(
  'rule 5: a call of the server rejects at once when its client disconnects, and when it is not there',
  async (t) => {
    const { client, server } = await startOpen(t);
    const callee = await client();
    const session = server.session(callee.welcome.session[0])!;
    const call = server.call(session, 'ask', null);
    const rejected = t.rejects(call, { name: 'disconnected' });
    await callee.frame(([op]) => op === Op.CALL);
    callee.cut();
    await rejected;
    await until(() => !session.connected);
    await t.rejects(server.call(session, 'ask', null), { name: 'disconnected' });
  },
);

for (const [kind, name] of [
  ['atomic', 'drop'],
  ['plain', 'echo'],
] as const) {
  t.test(`a ${kind} call repeated with its key runs once and answers the same; other data is key_reused`, async (t) => {
    let ran = 0;
    let release: () => void = () => undefined;
    const slow = new Promise<void>((resolve) => (release = resolve));
    const { client } = await startOpen(t, {
      without: ['drop', 'echo'],
      setup(server) {
        server.handleAtomic('drop', (tx) => {
          // A store that answers late makes a transaction run again.
          tx.afterCommit(() => ran++);
          return tx.nextVersion();
        });
        server.handle('echo', async ({ key }) => {
          await slow;
          return [key, ++ran];
        });
      },
    });
    const caller = await client();
    const data = { id: '1' };
    const [first, second] = [caller.call(name, data, { key: 'k' }), caller.call(name, data, { key: 'k' })];
    await t.rejects(caller.call(name, { id: '2' }, { key: 'k' }), { code: 111 });
    release();
    t.strictSame(await first, await second, 'a repetition while the first runs waits for it');
    t.strictSame(await caller.call(name, data, { key: 'k' }), await first);
    const before = ran;
    await caller.call(name, data, { key: 'another' });
    const other = await client();
    await other.call(name, data, { key: 'k' });
    t.equal(ran, before + 2, 'another key and another user are other calls');
  });
}

t.test('a keyed call that failed may be tried again with its key', async (t) => {
  let ran = 0;
  const { client } = await startOpen(t, {
    without: ['echo'],
    setup: (server) =>
      server.handle('echo', () => {
        if (++ran === 1) throw new RoomwireError('conflict');
        return ran;
      }),
  });
  const caller = await client();
  await t.rejects(caller.call('echo', 1, { key: 'k' }), { code: 114 });
  t.equal(await caller.call<number>('echo', 1, { key: 'k' }), 2);
  t.equal(await caller.call<number>('echo', 1, { key: 'k' }), 2);
});

t.test('the parts of CALL are checked: name, data, options', async (t) => {
  const { client } = await startOpen(t, { limits: { dataBytes: 1_000 } });
  const caller = await client();
  const refused = (code: number, ...parts: unknown[]): Promise<unknown> =>
    t.rejects(caller.request(Op.CALL, ...parts), { code }, JSON.stringify(parts).slice(0, 60));
  await refused(100);
  await refused(100, 7, null);
  await refused(100, '', null);
  await refused(109, 'x'.repeat(201), null);
  await refused(109, 'echo', 'x'.repeat(1_000));
  await refused(100, 'echo', null, 'options');
  await refused(100, 'echo', null, { key: 7 });
  await refused(100, 'echo', null, { key: '' });
  await refused(109, 'echo', null, { key: 'x'.repeat(201) });
  await refused(100, 'echo', null, { timeoutMs: -1 });
  await refused(100, 'echo', null, { timeoutMs: 'soon' });
  t.equal(await caller.request(Op.CALL, 'echo'), null);
  t.equal(await caller.request(Op.CALL, 'echo', 1, { key: null, timeoutMs: null, newer: true }, 'extra'), 1);
});

t.test('a handler must be in the contract, and only one for each call', async (t) => {
  await startOpen(t, {
    setup(server: OpenServer) {
      t.throws(() => server.handle('nope' as never, () => null), { name: 'TypeError', message: /contract/ });
      t.throws(() => server.handle('echo', () => null), { name: 'TypeError', message: /already/ });
      t.throws(() => server.handleAtomic('echo', () => null), { name: 'TypeError', message: /already/ });
    },
  });
});
