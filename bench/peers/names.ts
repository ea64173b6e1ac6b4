/** Names that the roomwire server and its subscribers agree on. */
export const topic = 'bench:fanout';
export const event = 'tick';
