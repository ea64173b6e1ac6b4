/** /health: whether the server takes work, and what it runs on, for anyone who asks. */
import t from 'tap';
import { healthRoutes } from '../../src/http/health-routes.js';
import { http } from '../../src/http/http.js';
import { Router } from '../../src/http/router.js';
import type { EngineInfo, HttpRequest, PluginHost } from '../../src/server/api.js';
import { startServer } from '../support/server.js';
import { SECRET } from '../support/tokens.js';
import { engines } from '../transport/start.js';

for (const { name: engine } of engines) {
  t.test(`${engine}: it names the server's version, and the engine's package, version and origin`, async (t) => {
    const s = await startServer(t, { plugins: [http()] as const, engine, auth: { secret: SECRET } });
    const response = await fetch(`${s.http}/health`);
    t.equal(response.status, 200, 'without a key');
    // With edges (ROOMWIRE_EDGE) it is theirs that counts.
    const [edge] = s.server.edges();
    const info = edge?.engine ?? s.server.engineInfo;
    t.strictSame(Object.keys(info ?? {}).sort(), ['name', 'origin', 'package', 'version']);
    t.match(info, { name: engine, version: /^\d+\.\d+\.\d+/, origin: /^(official|repackaged)$/ });
    t.match(await response.json(), {
      status: 'ok',
      version: /^\d+\.\d+\.\d+/,
      engine: edge === undefined ? info : { name: 'link' },
    });
  });
}

t.test('while the server takes no work it says so, and what it runs on all the same', async (t) => {
  const engineInfo: EngineInfo = { name: 'uws', package: 'uWebSockets.js', version: '20.57.0', origin: 'official' };
  const host = { ready: false, engineInfo, cluster: () => undefined } as unknown as PluginHost;
  const asked = { method: 'GET', path: '/health', query: '', address: '', headers: {}, body: new Uint8Array() };
  const request: HttpRequest = { ...asked, bodyTooLarge: false };
  const nobody = (): Promise<never> => Promise.reject(new Error('nobody is asked who they are'));
  const response = await new Router(healthRoutes(host), nobody, () => () => undefined).answer(
    { request, gone: () => undefined },
    new Set(),
  );
  t.match(response, { status: 503, headers: { 'retry-after': '1' } });
  t.match(JSON.parse(response?.body as string), { status: 'unavailable', engine: engineInfo });
});
