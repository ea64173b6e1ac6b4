/** That the checker is tested: chain, locks and handles each spoil the history of their own run in all of these ways. */
import t from 'tap';
import { check } from './checker.js';
import { corruptions } from './corruptions.js';
import type { Entry } from './history.js';
import { Recorder } from './recorder.js';
import { rules } from './rules.js';

t.test('there is a corruption for each rule, and more than fifty in all', async (t) => {
  const all = Object.values(corruptions).flat();
  t.ok(all.length > 50, `${all.length}`);
  t.strictSame([...new Set(all.map(({ rule }) => rule))].sort(), Object.keys(rules).sort());
  t.equal(new Set(all.map(({ what }) => what)).size, all.length, 'each by a name of its own');
});

t.test('a finding says which promise is broken, and shows the entries around it', async (t) => {
  const history: Entry[] = [
    { kind: 'begin', who: 'ann', topic: 'chat:1', at: ['e', 0] },
    { kind: 'event', who: 'ann', topic: 'chat:1', at: ['e', 1], by: null, text: 'message 1' },
    { kind: 'event', who: 'bob', topic: 'chat:2', at: ['e', 9], by: null, text: 'message 9' },
    { kind: 'event', who: 'ann', topic: 'chat:1', at: ['e', 3], by: null, text: 'message 3' },
  ];
  const { findings, complaints, lost } = check(history.filter(({ kind }, i) => kind !== 'event' || i !== 2));
  t.match(findings, [{ rule: 'gap told', text: 'ann: lost chat:1 e:2–2' }]);
  t.equal(findings.length, 1);
  t.equal(lost, 1);
  t.match(complaints[0], /^gap told: .*\n {2}promised: .*RW-ORD-1[^]*#1 event .*message 1\n {2}#2 event .*message 3$/);
});

t.test('a recorder that is full says so, and no more', async (t) => {
  const recorder = new Recorder(2);
  for (let i = 0; i < 5; i++) recorder.note({ kind: 'live', who: `${i}` });
  t.match(check(recorder.history).findings, [{ rule: 'surprise', text: 'the history is full' }]);
  t.equal(recorder.history.length, 3);
});
