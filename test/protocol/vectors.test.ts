/** The vectors of protocol/ hold for the codecs, and test every rule that a wire can show. A server plays them in test/conform. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { decodeMulti } from '@msgpack/msgpack';
import { Ajv2020 } from 'ajv/dist/2020.js';
import t from 'tap';
import { encodeFrame } from '../../src/client/encode.js';
import { concat, decodeAll, DecodeError, encode } from '../../src/protocol/codec.js';
import { IGNORABLE_FROM, Op } from '../../src/protocol/frames.js';
import { scanMessage, scanReason } from '../../src/protocol/scan.js';
import { MAX_DEPTH } from '../../src/protocol/sizes.js';
import { protocol, root } from './examples.js';
import { bytesOf, messageOf, readVectors, valueOf, vectorsFolder } from '../../src/conform/vectors.js';

const { frames: frameVectors, negative: negativeVectors, sequences, unshown } = readVectors(vectorsFolder);

t.test('no two vectors of a kind have one id', async (t) => {
  for (const kind of [frameVectors, negativeVectors, sequences]) {
    const ids = kind.map(({ id }) => id);
    t.strictSame(
      ids.filter((id, i) => ids.indexOf(id) !== i),
      [],
    );
  }
});

t.test('at least 95 % of the rules that a wire can show have a vector, and the rest a reason', async (t) => {
  const rules = [...protocol.matchAll(/^- \*\*(RW-[A-Z]{3}-\d+)\*\* /gm)].map(([, id = '']) => id);
  const tested = new Set([frameVectors, negativeVectors, sequences].flat().flatMap((vector) => vector.rules));
  const reasons = new Map(unshown.map((entry) => [entry.rule, entry]));
  for (const rule of rules)
    t.ok(tested.has(rule) !== reasons.has(rule), `${rule} has either a vector or a reason for none`);
  for (const rule of [...tested, ...reasons.keys()]) t.ok(rules.includes(rule), `${rule} is a rule`);
  const seen = rules.filter((rule) => reasons.get(rule)?.by !== 'nothing');
  const share = seen.filter((rule) => tested.has(rule)).length / seen.length;
  t.ok(share >= 0.95, `${(100 * share).toFixed(1)} % of ${seen.length}`);
});

t.test('valid frames: every opcode is there, and each decodes to what it says', async (t) => {
  const ops = new Set(frameVectors.flatMap(({ frames }) => frames.map(([op]) => op)));
  for (const [name, op] of Object.entries(Op)) t.ok(ops.has(op), name);
  const most = { client: MAX_DEPTH - 1, both: MAX_DEPTH - 1, server: MAX_DEPTH };
  for (const { id, hex, frames, from } of frameVectors) {
    const bytes = bytesOf(hex);
    t.same(decodeAll(bytes), valueOf(frames), `${id}: our decoder`);
    t.same([...decodeMulti(bytes)], valueOf(frames), `${id}: @msgpack/msgpack`);
    t.equal(scanMessage(bytes, [], most[from]), frames.length, `${id}: our scanner`);
  }
});

t.test('valid frames: an encoder that takes the shortest format makes the same bytes', async (t) => {
  for (const { id, hex, frames, shortest } of frameVectors) {
    const [ours, client] = [encode, encodeFrame].map((make) =>
      Buffer.from(concat((valueOf(frames) as unknown[][]).map((frame) => make(frame))))
        .toString('hex')
        .replace(/(..)(?=.)/g, '$1 '),
    );
    t.equal(ours === hex, shortest === true, `${id}: ${ours}`);
    if (shortest === true) t.equal(client, hex, `${id}: the SDK's encoder`);
  }
});

t.test('valid frames: the schema made from the source takes them, by direction, and is up to date', async (t) => {
  const run = spawnSync(process.execPath, [`${root}scripts/frame-schema.mjs`, '--check'], { encoding: 'utf8' });
  t.equal(run.status, 0, run.stdout + run.stderr);
  const schema = JSON.parse(readFileSync(`${root}protocol/frames.schema.json`, 'utf8')) as { $id: string };
  const ajv = new Ajv2020({ strict: false });
  ajv.addSchema(schema);
  const takes = (side: string, frame: unknown) =>
    ajv.validate(`${schema.$id}#/$defs/${side}Frame`, frame) || ajv.errorsText();
  for (const { id, frames, from } of frameVectors) {
    for (const frame of frames) {
      if ((frame[0] as number) >= IGNORABLE_FROM) continue;
      if (from !== 'server') t.equal(takes('Client', frame), true, `${id}, to the server`);
      if (from !== 'client') t.equal(takes('Server', frame), true, `${id}, to the client`);
    }
  }
  for (const frame of [[1, 1, {}], [2, 1, {}], [16, 0, 'x', 1], [48, 'room:x', 1], [99]]) {
    t.type(takes('Client', frame), 'string');
    t.type(takes('Server', frame), 'string', JSON.stringify(frame));
  }
});

t.test('valid formats: every type byte of the subset comes up', async (t) => {
  // Bytes that stand where a type byte does, as the frames' decoder met them.
  const met = new Set<number>();
  const walk = (bytes: Uint8Array, at: number): number => {
    const type = bytes[at++] as number;
    met.add(type < 0x80 ? 0 : type < 0x90 ? 0x80 : type < 0xa0 ? 0x90 : type < 0xc0 ? 0xa0 : type > 0xdf ? 0xe0 : type);
    const size = (width: number): number => {
      const view = Buffer.from(bytes.buffer, bytes.byteOffset + at, width);
      at += width;
      return view.readUIntBE(0, width);
    };
    const values = (count: number): number => {
      for (let i = 0; i < count; i++) at = walk(bytes, at);
      return at;
    };
    if (type < 0x80 || type > 0xdf) return at;
    if (type < 0x90) return values(2 * (type & 15));
    if (type < 0xa0) return values(type & 15);
    if (type < 0xc0) return at + (type & 31);
    if (type < 0xc4) return at;
    if (type < 0xc7) return size(1 << (type - 0xc4)) + at;
    if (type < 0xcc) return at + (type === 0xca ? 4 : 8);
    if (type < 0xd4) return at + (1 << (type & 3));
    if (type < 0xdc) return size(1 << (type - 0xd9)) + at;
    return type < 0xde ? values(size(2 << (type - 0xdc))) : values(2 * size(2 << (type - 0xde)));
  };
  for (const { hex, frames } of frameVectors) {
    const bytes = bytesOf(hex);
    let at = 0;
    for (let i = 0; i < frames.length; i++) at = walk(bytes, at);
    t.equal(at, bytes.length);
  }
  const formats = [0, 0x80, 0x90, 0xa0, 0xe0, 0xc0, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xca, 0xcb];
  const more = [0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf];
  t.strictSame([...met].sort(), [...formats, ...more].sort());
});

t.test('invalid messages: the decoder refuses what is no matter of the server alone', async (t) => {
  for (const vector of negativeVectors) {
    if (vector.text !== undefined) continue;
    const { id, decoder = true, reason = '' } = vector;
    const bytes = messageOf(vector);
    if (!decoder) {
      t.ok(decodeAll(bytes), id);
      continue;
    }
    try {
      decodeAll(bytes);
      t.fail(`${id} was decoded`);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      t.equal(`frame ${error.frame}: ${scanReason(error.refusal)}`, reason, id);
    }
  }
});
