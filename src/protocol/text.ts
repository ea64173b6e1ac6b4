/** Text for people that others made: cut to a length and always well formed, so that every frame can carry it. Not part of the SDK. */

const loneSurrogates = /\p{Surrogate}/gu;

/**
 * The first `most` UTF-16 units at most. A cut never leaves half a character, nor a joiner that has nothing left to join;
 * halves that were there before become U+FFFD.
 */
export function shortened(text: string, most: number): string {
  const whole = text.length <= most ? text : text.slice(0, endBefore(text, most)).replace(/\u200d$/, '');
  return whole.replace(loneSurrogates, '\ufffd');
}

function endBefore(text: string, most: number): number {
  const isSplit = /^[\ud800-\udbff][\udc00-\udfff]/.test(text.slice(most - 1, most + 1));
  return isSplit ? most - 1 : most;
}
