/** What has no encoding: which values those are, and how the refusal says where the value is. For both encoders. */

/** A value that has no encoding; the message names its path, such as `data.user.born is a Date; …`. */
export class EncodeError extends TypeError {
  override readonly name = 'EncodeError';
  declare readonly path: string;

  /** `steps`: from the root's name to the value. */
  constructor(steps: readonly (string | number)[], problem: string) {
    const path = pathOf(steps);
    super(`${path} ${problem}`);
    this.path = path;
  }
}

function pathOf([name, ...steps]: readonly (string | number)[]): string {
  const named = /^[a-z_$][\w$]*$/i;
  return name + steps.map((step) => (named.test(`${step}`) ? `.${step}` : `[${JSON.stringify(step)}]`)).join('');
}

/** UTF-8 cannot carry half a character. */
export const loneSurrogate = /\p{Surrogate}/u;
export const LONE_SURROGATE = 'has a lone surrogate';

export function isPlain(value: object): value is Readonly<Record<string, unknown>> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** What JSON would quietly change (dates, maps, class instances), or leave out. */
export function notPlain(value: unknown): string {
  return `is a ${(value as object).constructor?.name || typeof value}; send plain data`;
}
