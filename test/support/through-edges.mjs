/**
 * `node --import` this, and a program's servers are hubs: ROOMWIRE_EDGE workers hold their connections, or the edges that dial
 * ROOMWIRE_TEST_LINK do so as well; or they are nodes of the cluster whose log is at ROOMWIRE_TEST_CLUSTER. The program is not
 * changed: it gets another `@roomwire/server`.
 */
import { register } from 'node:module';

const hooks = `export async function resolve(specifier, context, next) {
  const isProgram = specifier === '@roomwire/server' && context.parentURL?.includes('/examples/');
  return isProgram ? { url: ${JSON.stringify(new URL('./hub-package.mjs', import.meta.url).href)}, shortCircuit: true } : next(specifier, context);
}`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
