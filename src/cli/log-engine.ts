/** The engine of a cluster's log, for a command: what is wrong with it is one line, and waiting for it has an end. */
import { CommandError } from './args.js';

interface Opening {
  open(): Promise<unknown>;
  close(): Promise<void>;
}

/** `open` of an engine that is away tries for ever. */
export async function opened<T extends Opening>(make: () => T, timeoutMs: number): Promise<T> {
  let journal: T;
  try {
    journal = make();
  } catch (error) {
    throw new CommandError((error as Error).message);
  }
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new CommandError(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    await Promise.race([journal.open(), late]);
    return journal;
  } catch (error) {
    await journal.close();
    throw error instanceof CommandError ? error : new CommandError((error as Error).message);
  } finally {
    clearTimeout(timer);
  }
}
