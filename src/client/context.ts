/** What rooms, locks, subscriptions and the overview share: one connection and what runs over it. */
import type { Value } from '../protocol/frames.js';
import * as Op from '../protocol/opcodes.js';
import type { Connection } from './connection.js';
import type { Requests, RequestOptions } from './requests.js';
import type { Settings } from './settings.js';
import type { Topics } from './topics.js';
import type { CallOptions, Published } from './types.js';

export interface Context {
  readonly settings: Settings;
  readonly connection: Connection;
  readonly requests: Requests;
  readonly streams: Topics;
}

export function call(
  { settings, requests }: Context,
  name: string,
  input: unknown,
  options: RequestOptions & CallOptions = {},
): Promise<Value> {
  const { key, timeoutMs = settings.callMs, resend = key !== undefined } = options;
  return requests.request(Op.CALL, [name, input, { key, timeoutMs }], { ...options, timeoutMs, resend });
}

export function publish(
  { settings, requests }: Context,
  topic: string,
  event: string,
  data: unknown,
  { key, signal, timeoutMs = settings.callMs }: CallOptions = {},
): Promise<Published> {
  const parts = [topic, event, key ?? null, data];
  const published = requests.request(Op.PUBLISH, parts, { timeoutMs, signal, resend: key !== undefined });
  return published as Promise<unknown> as Promise<Published>;
}
