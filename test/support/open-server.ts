/** A server for the open contract with a handler for each of its calls. */
import type { Plugin, User } from '../../src/server/api.js';
import type { Server, ServerOptions } from '../../src/server/server.js';
import type { ShapeOf } from '../../src/protocol/contract.js';
import { type openContract, startServer, type Test } from './server.js';

export type OpenServer = Server<ShapeOf<typeof openContract>, User, readonly Plugin[]>;
type Options = Partial<ServerOptions<typeof openContract, User, readonly Plugin[]>> & {
  /** Leaves these calls to the test, or without a handler. */
  readonly without?: readonly string[];
  readonly setup?: (server: OpenServer) => void;
};

export function registerHandlers(server: OpenServer, without: readonly string[] = []): void {
  const has = (name: string): boolean => !without.includes(name);
  if (has('echo')) server.handle('echo', ({ input }) => input);
  if (has('strict')) server.handle('strict', ({ input }) => input);
  if (has('fail')) {
    server.handle('fail', () => {
      throw new Error('the handler is broken');
    });
  }
  // Ends only when it is no longer wanted.
  if (has('hang')) {
    server.handle(
      'hang',
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        }),
    );
  }
  if (has('keep')) {
    server.handleAtomic('keep', (tx, { input, session }) => {
      tx.subscribe(session, `kept:${input.id}`);
      return { position: tx.position(`kept:${input.id}`) };
    });
  }
  if (has('drop')) {
    server.handleAtomic('drop', (tx, { input, session }) => {
      tx.unsubscribe(session, `kept:${input.id}`);
      return { position: tx.position(`kept:${input.id}`) };
    });
  }
}

export function startOpen(t: Test, { without = [], setup, ...options }: Options = {}) {
  return startServer(t, {
    ...options,
    setup(server) {
      registerHandlers(server as unknown as OpenServer, without);
      setup?.(server as unknown as OpenServer);
    },
  });
}
