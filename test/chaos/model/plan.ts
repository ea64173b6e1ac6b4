/** Who and what there is in the model test, and how long things last. */

/** Two of the three are one user's devices. */
export const clientNames = ['ann', 'ann2', 'bob'] as const;
export type ClientName = (typeof clientNames)[number];
export const userOf = (name: string): string => name.replace(/\d$/, '');

export const roomIds = ['a', 'b'] as const;
export const plainTopics = ['chat:1', 'chat:2'] as const;
export const topics = [...roomIds.map((id) => `room:${id}`), ...plainTopics];
export const targets = ['trajectory:meta', 'door'] as const;

/** Every command begins with so much time: longer than a tick of the server's wheel, so that no two ends fall into one. */
export const STEP_MS = 50;
/** Time passes in such pieces, and everything is compared after each. */
export const PIECE_MS = 250;
/** They end between two pieces, more than a tick before the later one. */
export const GRACE_MS = 2_120;
export const LEASE_MS = 3_120;

/** Events that a topic keeps: so few that who is away can miss some. */
export const HISTORY = 8;
