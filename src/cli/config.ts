/** The config file of `roomwire serve`: JSON, checked whole before anything starts. Secrets stay in the environment. */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { defaultLimits, type Limits } from '../protocol/limits.js';
import { CommandError } from './args.js';

const Topic = v.strictObject({ events: v.record(v.string(), v.picklist(['server', 'subscribers'])) });
const Limit = v.pipe(v.number(), v.integer(), v.minValue(0));
const limitEntries = Object.fromEntries(Object.keys(defaultLimits).map((name) => [name, v.optional(Limit)]));

export const Config = v.strictObject({
  /** Plain topics by pattern, with who may publish each event. */
  topics: v.optional(v.record(v.string(), Topic), {}),
  limits: v.optional(v.strictObject(limitEntries), {}),
  rooms: v.optional(
    v.strictObject({
      membership: v.optional(v.picklist(['one', 'many'])),
      leaveOverview: v.optional(v.boolean()),
      memberTtl: v.optional(Limit),
      hostGrace: v.optional(Limit),
    }),
    {},
  ),
  /** Web origins whose pages may use the HTTP API. */
  origins: v.optional(v.array(v.pipe(v.string(), v.url())), []),
});
export type Config = v.InferOutput<typeof Config>;

/** Throws a CommandError that names the file and each wrong part. */
export function readConfig(path: string | undefined): Config & { readonly limits: Partial<Limits> } {
  if (path === undefined) return v.parse(Config, {});
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new CommandError(`cannot read the config ${path}: ${(error as Error).message}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new CommandError(`the config ${path} is not JSON: ${(error as Error).message}`);
  }
  const result = v.safeParse(Config, json);
  if (result.success) return result.output;
  const problems = result.issues.map((issue) => `${v.getDotPath(issue) ?? 'config'}: ${issue.message}`);
  throw new CommandError(`the config ${path} is wrong: ${problems.join('; ')}`);
}
