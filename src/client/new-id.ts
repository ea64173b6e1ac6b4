/** Random: nobody else's, and no earlier one. */
export function newId(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join('-');
}
