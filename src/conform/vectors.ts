/** Reads protocol/vectors, as protocol/README.md lays them out. What it does not say is a mistake. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';

/** Those of the package. */
export const vectorsFolder = fileURLToPath(new URL('../../protocol/vectors/', import.meta.url));

const Rules = v.pipe(v.array(v.pipe(v.string(), v.regex(/^RW-[A-Z]{3}-\d+$/))), v.minLength(1));
const Named = { id: v.pipe(v.string(), v.regex(/^[a-z0-9-]+$/)), rules: Rules };
const Hex = v.pipe(v.string(), v.regex(/^([0-9a-f]{2}( [0-9a-f]{2})*)?$/));
const Frame = v.array(v.unknown());

const FrameVector = v.strictObject({
  ...Named,
  hex: Hex,
  frames: v.array(Frame),
  from: v.picklist(['client', 'server', 'both']),
  shortest: v.optional(v.literal(true)),
});
export type FrameVector = v.InferOutput<typeof FrameVector>;

const NegativeVector = v.strictObject({
  ...Named,
  when: v.picklist(['open', 'live']),
  hex: v.optional(Hex),
  text: v.optional(v.string()),
  pad: v.optional(v.strictObject({ hex: Hex, times: v.number() })),
  close: v.number(),
  reason: v.optional(v.string()),
  decoder: v.optional(v.literal(false)),
});
export type NegativeVector = v.InferOutput<typeof NegativeVector>;

const Map = v.record(v.string(), v.unknown());
const On = { on: v.string() };
const Step = v.union([
  v.strictObject({
    open: v.string(),
    hello: v.optional(v.nullable(Map)),
    welcome: v.optional(Map),
    protocols: v.optional(v.array(v.string())),
    query: v.optional(v.string()),
    headers: v.optional(v.record(v.string(), v.string())),
    refused: v.optional(v.number()),
    head: v.optional(Map),
    silent: v.optional(v.literal(true)),
  }),
  v.strictObject({ ...On, send: v.array(Frame), times: v.optional(v.number()) }),
  v.strictObject({ ...On, hex: Hex }),
  v.strictObject({ ...On, text: v.string() }),
  v.strictObject({ ...On, expect: v.array(Frame) }),
  v.strictObject({ ...On, never: v.array(Frame) }),
  v.strictObject({ ...On, closed: v.union([v.number(), v.array(v.number())]), reason: v.optional(v.string()) }),
  v.strictObject({ cut: v.string() }),
  v.strictObject({ shut: v.string(), code: v.optional(v.number()) }),
  v.strictObject({ pause: v.string() }),
  v.strictObject({ read: v.string() }),
  v.strictObject({ pass: v.union([v.number(), v.string()]) }),
  v.strictObject({
    do: v.literal('publish'),
    topic: v.string(),
    event: v.string(),
    data: v.unknown(),
    times: v.optional(v.number()),
  }),
  v.strictObject({ do: v.literal('delete'), room: v.string() }),
  v.strictObject({ do: v.literal('kick'), user: v.string() }),
  v.strictObject({
    do: v.literal('call'),
    sid: v.string(),
    name: v.string(),
    data: v.unknown(),
    timeoutMs: v.optional(v.number()),
    as: v.string(),
  }),
  v.strictObject({ do: v.picklist(['drain', 'restart']) }),
  v.strictObject({
    do: v.literal('token'),
    user: v.string(),
    seconds: v.optional(v.number()),
    groups: v.optional(v.array(v.string())),
    as: v.string(),
  }),
  v.strictObject({ result: v.string(), is: v.unknown() }),
  v.strictObject({
    http: v.string(),
    token: v.optional(v.string()),
    body: v.optional(v.unknown()),
    headers: v.optional(v.record(v.string(), v.string())),
    status: v.number(),
    is: v.optional(v.unknown()),
    head: v.optional(Map),
  }),
]);
export type Step = v.InferOutput<typeof Step>;

const Sequence = v.strictObject({
  ...Named,
  title: v.string(),
  needs: v.optional(v.array(v.string())),
  limits: v.optional(v.record(v.string(), v.number())),
  admission: v.optional(v.record(v.string(), v.number())),
  steps: v.array(Step),
});
export type Sequence = v.InferOutput<typeof Sequence>;

const Unshown = v.strictObject({
  rule: v.string(),
  by: v.picklist(['client', 'nothing']),
  reason: v.pipe(v.string(), v.minLength(10)),
});

export interface Vectors {
  readonly frames: readonly FrameVector[];
  readonly negative: readonly NegativeVector[];
  readonly sequences: readonly Sequence[];
  readonly unshown: readonly v.InferOutput<typeof Unshown>[];
}

/** Throws a TypeError of one line: the file, what is wrong, and the vector. */
export function readVectors(folder: string): Vectors {
  const read = <S extends v.GenericSchema>(file: string, schema: S): v.InferOutput<S>[] => {
    const { vectors } = parsed(Kind, JSON.parse(readFileSync(join(folder, file), 'utf8')), file);
    return vectors.map((vector) => parsed(schema, vector, file));
  };
  return {
    frames: read('frames.json', FrameVector),
    negative: read('negative.json', NegativeVector),
    sequences: readdirSync(folder)
      .filter((file) => file.startsWith('sequences'))
      .sort()
      .flatMap((file) => read(file, Sequence)),
    unshown: read('unshown.json', Unshown),
  };
}

const Kind = v.strictObject({ about: v.string(), vectors: v.array(v.unknown()) });

function parsed<S extends v.GenericSchema>(schema: S, value: unknown, file: string): v.InferOutput<S> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const what = v.summarize(result.issues).replaceAll(/\s*\n\s*/g, ' ');
  throw new TypeError(`${file}: ${what} in ${JSON.stringify(value).slice(0, 500)}`);
}

export function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

export function messageOf({ hex = '', pad }: NegativeVector): Uint8Array {
  return bytesOf(hex + (pad?.hex ?? '').repeat(pad?.times ?? 0));
}

/** The value that JSON of the vectors stands for. */
export function valueOf(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(valueOf);
  if (typeof json !== 'object' || json === null) return json;
  const { $bin, $float } = json as { $bin?: string; $float?: string };
  if ($bin !== undefined) return bytesOf($bin);
  if ($float !== undefined) return Number($float);
  return Object.fromEntries(Object.entries(json).map(([key, part]) => [key, valueOf(part)]));
}
