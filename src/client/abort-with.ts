/** An abort that another one brings about, too. Aborted itself, it hears no more of the other. */
export function abortWith(signal: AbortSignal | undefined): AbortController {
  const controller = new AbortController();
  const abort = (): void => controller.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, controller);
  return controller;
}
