/** What a policy asks the backend: may this user do this? The answer must hang on nothing else, for it is remembered. */
import type { User } from '../server/api.js';

export interface Question {
  readonly action: 'see' | 'create' | 'join' | 'publish' | 'edit' | 'lock' | 'present' | 'administer' | 'call';
  /** What exactly, where an action has several: `delete`, `kick`, `force-release`. */
  readonly detail?: string | undefined;
  readonly user: User;
  readonly topic?: string | undefined;
  readonly event?: string | undefined;
  readonly call?: string | undefined;
  /** Of a call. */
  readonly input?: unknown;
}
