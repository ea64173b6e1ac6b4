/** Events as text that the model can foretell: what it cannot know (versions, times, ids of sessions) is left out. */
import type { Value } from '../../../src/protocol/frames.js';

type Fields = Readonly<Record<string, Value>>;

export function textOf(event: string, data: Value): string {
  const fields = data as Fields;
  switch (event) {
    case 'room:update': {
      if (fields['created'] === true) return 'room:update created';
      const { roomId: _id, version: _version, ...changes } = fields;
      return `room:update ${Object.entries(changes)
        .map(([field, value]) => `${field}=${shown(value)}`)
        .join(' ')}`;
    }
    case 'member:joined': {
      const { userId, online } = fields['member'] as Fields;
      return `member:joined ${userId as string} ${online as number}`;
    }
    case 'member:left':
      return `member:left ${fields['userId'] as string} ${fields['reason'] as string}`;
    case 'member:online':
      return `member:online ${fields['userId'] as string} ${fields['online'] as number}`;
    case 'lock:update':
      return `lock:update ${fields['target'] as string} ${shown(fields['lock'] ?? null)}`;
    case 'presenter:update':
      return `presenter:update ${shown(fields['presenter'] ?? null)}`;
    case 'host:update':
      return `host:update ${shown(fields['host'] ?? null)}`;
    default:
      return `${event} ${JSON.stringify(data)}`;
  }
}

/** Who it names; of a session only that it is one. */
function shown(value: Value): string {
  if (value === null) return 'nobody';
  return typeof value === 'string' ? 'a session' : ((value as Fields)['userName'] as string);
}
