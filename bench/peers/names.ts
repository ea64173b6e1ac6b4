/** What the servers and their load agree on. All topics' names are equally long. */
export const event = 'tick';
export const topicName = (index: number): string => `bench:${String(index).padStart(6, '0')}`;

/** Of HTTP beside events: a body that comes in, and an answer. */
export const BODY_BYTES = 64 * 1024 * 1024;
export const ANSWER_BYTES = 16 * 1024 * 1024;

/** Numbers from 0 to `limit` − 1, always in the same order: Numerical Recipes' linear congruential generator. */
export function drawing(): (limit: number) => number {
  let seed = 1;
  return (limit) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * limit);
  };
}
