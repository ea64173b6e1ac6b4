/**
 * Names to show for e-mail addresses, from the backend that knows them. It may be slow or away: then the
 * part before the @ will do, because nobody should be kept from a party for want of a name.
 */

export interface Usernames {
  /** Never rejects. */
  of(email: string): Promise<string>;
}

const TIMEOUT_MS = 1_000;
const KEPT_MS = 10 * 60_000;
/** Ms until a name that could not be had is asked for again. */
const FAILED_MS = 15_000;
const KEPT = 10_000;

/** `url`: asked as `<url>/<email>`, answers `{"username": …}`. Without one every name is made of the address. */
export function usernames(url: string | undefined, failed: (email: string, error: unknown) => void): Usernames {
  const known = new Map<string, { readonly name: string; readonly until: number }>();
  const keep = (email: string, name: string, ms: number): string => {
    if (known.size >= KEPT) known.clear();
    known.set(email, { name, until: Date.now() + ms });
    return name;
  };
  return {
    async of(email) {
      const plain = email.slice(0, email.indexOf('@'));
      if (url === undefined) return plain;
      const found = known.get(email);
      if (found !== undefined && found.until > Date.now()) return found.name;
      try {
        const response = await fetch(`${url}/${encodeURIComponent(email)}`, {
          signal: AbortSignal.timeout(TIMEOUT_MS),
        });
        if (!response.ok) throw new Error(`the username service answered ${response.status}`);
        const { username } = (await response.json()) as { readonly username?: unknown };
        if (typeof username !== 'string' || username === '') throw new Error('the username service knows no name');
        return keep(email, username.slice(0, 100), KEPT_MS);
      } catch (error) {
        failed(email, error);
        return keep(email, plain, FAILED_MS);
      }
    },
  };
}
