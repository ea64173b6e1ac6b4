/**
 * Entity tags of rooms. The tag of a room is its version, which writes are made under (If-Match), and a digest
 * of whatever else the answer holds: members, holders, positions. Proxies that compress make tags weak, so
 * `W/` is passed over: two answers with one tag say the same.
 */
import * as v from 'valibot';
import type { RoomSnapshot } from '../rooms/rooms.js';
import { sha256 } from '../server/server.js';

const TAG = String.raw`(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"`;
const LIST = new RegExp(String.raw`^[ \t,]*${TAG}(?:[ \t]*,[ \t,]*${TAG})*[ \t,]*$`);
const EACH = /(?:W\/)?"([^"]*)"/g;

/** `*`, or what the tags of a list hold between their quotes. */
export type Tags = '*' | readonly string[];

/** `*` or a list of tags; anything else is refused. */
export const TagList = v.pipe(
  v.string(),
  v.check((text) => text.trim() === '*' || LIST.test(text), 'takes ETags, such as "17", or *'),
  v.transform(tagsIn),
);

/** What is no list of tags has none. */
export function tagsIn(text: string): Tags {
  return text.trim() === '*' ? '*' : [...text.matchAll(EACH)].map(([, tag]) => tag as string);
}

/** As a write leaves the room: nothing but its version is known then. */
export function versionTag({ version }: { readonly version: number }): string {
  return `"${version}"`;
}

export function roomTag({ metadata, memberCount, holders, positions, untouched }: RoomSnapshot): string {
  if (untouched) return versionTag(metadata);
  const rest = JSON.stringify([memberCount, holders, positions]);
  return `"${metadata.version}-${sha256(rest).toString('base64url').slice(0, 22)}"`;
}

export function isIn(tags: Tags, tag: string): boolean {
  return tags === '*' || tags.includes(tag.slice(1, -1));
}

/** Which versions a write may build on; undefined: any. */
export function versionsIn(tags: Tags): readonly number[] | undefined {
  if (tags === '*') return undefined;
  return tags.flatMap((tag) => /^(\d{1,16})(?:-[\w-]+)?$/.exec(tag)?.[1] ?? []).map(Number);
}
