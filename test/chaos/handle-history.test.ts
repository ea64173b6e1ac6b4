/** The checker of lock handles finds what it is for: a good history passes, and each bad one is named. */
import t from 'tap';
import { checkHandles, type HandleHistory, type HandleRecord, type RoomEntry } from './handle-history.js';

const lock = 'r/x';
const first: HandleRecord = { op: 1, lock, asked: 1, answered: 2, token: 100, settled: 3, over: 9 };
const second: HandleRecord = { op: 2, lock, asked: 4, answered: 10, token: 101, settled: 11, over: 20, lost: true };
const write = { op: 3, lock, token: 100, asked: 5, answered: 6, outcome: 'taken' } as const;
const log: readonly RoomEntry[] = [
  { kind: 'held', lock, op: 1 },
  { kind: 'write', op: 3 },
  { kind: 'held', lock, op: 1 },
  { kind: 'held', lock, op: 2 },
  { kind: 'free', lock },
];
const good: HandleHistory = { handles: [first, second], writes: [write], logs: { r: log } };

t.test('a history without fault passes, and is counted', async (t) => {
  t.match(checkHandles(good), { complaints: [], complaintCount: 0, grants: 2, lost: 1, written: 1, refused: 0 });
  const refused = { ...write, op: 4, token: 99, outcome: 'lock_lost' } as const;
  const unheard: HandleRecord = { op: 5, lock, asked: 30, answered: 31 };
  const more = [...log, { kind: 'held', lock, op: 5 }, { kind: 'free', lock }] as const;
  const result = checkHandles({ handles: [first, second, unheard], writes: [write, refused], logs: { r: more } });
  t.match(result, { complaints: [], grants: 3, refused: 1 }, 'nor one with a refusal, or a grant nobody was told of');
  const forced = checkHandles({ ...good, handles: [{ ...first, over: 15, forced: 9 }, second] });
  t.strictSame(forced.complaints, [], 'nor one whose holder learns late that its lease was ended by force');
});

const bad: readonly (readonly [what: string, complaint: RegExp, history: Partial<HandleHistory>])[] = [
  ['two clients that believe in one lock', /two holders/, { handles: [{ ...first, over: 15 }, second] }],
  ['a belief without an end', /for ever/, { handles: [first, { ...second, over: undefined }] }],
  ['a token that does not grow', /comes after 100/, { handles: [first, { ...second, token: 99 }] }],
  [
    'a smaller token of another lock, asked for later',
    /asked for after 101/,
    {
      handles: [first, second, { op: 7, lock: 'q/x', asked: 30, answered: 31, token: 50, settled: 32, over: 33 }],
      logs: {
        r: log,
        q: [
          { kind: 'held', lock: 'q/x', op: 7 },
          { kind: 'free', lock: 'q/x' },
        ],
      },
    },
  ],
  ['a call that was never answered', /never answered/, { handles: [first, { ...second, answered: undefined }] }],
  ['a grant that was told and is gone', /knows nothing/, { logs: { r: log.filter((_, i) => i !== 3) } }],
  ['a second end', /second time/, { logs: { r: [...log, { kind: 'free', lock }] } }],
  ['a grant that comes twice', /again, after its end/, { logs: { r: [...log, { kind: 'held', lock, op: 1 }] } }],
  ['a lock that nobody frees', /for ever/, { logs: { r: log.slice(0, -1) } }],
  ['a holder that never asked', /never asked/, { logs: { r: [...log, { kind: 'held', lock, op: 77 }] } }],
  ['a write under an old token', /write 3 under 100/, { logs: { r: [log[0], log[3], log[1], log[4]] as RoomEntry[] } }],
  ['a write without a token beside a holder', /under no token/, { writes: [{ ...write, token: undefined }] }],
  ['a write that was refused and happened', /took effect/, { writes: [{ ...write, outcome: 'lock_held' }] }],
  ['a write that was told and is gone', /does not know/, { logs: { r: log.filter((_, i) => i !== 1) } }],
  ['a write that happened twice', /twice/, { logs: { r: [...log.slice(0, 2), ...log.slice(1)] } }],
  ['a write nobody asked for', /nobody asked/, { writes: [] }],
  [
    'the holder refused under the current token',
    /current token 100/,
    { writes: [write, { ...write, op: 4, outcome: 'lock_lost' }] },
  ],
];

for (const [what, complaint, history] of bad) {
  t.test(`it finds ${what}`, async (t) => {
    const { complaints } = checkHandles({ ...good, ...history });
    t.match(complaints.join('\n'), complaint);
  });
}
