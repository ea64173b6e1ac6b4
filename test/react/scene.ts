/** What the tests of the hooks begin with: a server, somebody who looks on, and a tab whose connections may be cut. */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Test } from 'tap';
import { connect } from '../../src/client/node.js';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { FaultProxy } from '../chaos/fault-proxy.js';
import { random } from '../random.js';
import { startBrowser } from '../support/browser.js';
import { roomContract } from '../support/rooms.js';
import { startServer } from '../support/server.js';
import type { Shown } from './page.js';

/** Which React the page has: 18, or 19 (hooks-19.test.ts). */
export const react19 = process.env['ROOMWIRE_TEST_REACT'] === '19';
const modules = fileURLToPath(new URL('react-19/node_modules/', import.meta.url));

let script: Promise<string> | undefined;

async function bundlePage(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('page.tsx', import.meta.url))],
    bundle: true,
    platform: 'browser',
    format: 'iife',
    target: 'es2022',
    jsx: 'automatic',
    // React's development build, which has StrictMode's double mount and complains of unstable snapshots.
    define: { 'process.env.NODE_ENV': '"development"' },
    ...(react19 && { alias: { react: `${modules}react`, 'react-dom': `${modules}react-dom` } }),
    logOverride: { 'ignored-bare-import': 'silent' },
    write: false,
  });
  return outputFiles[0]?.text ?? '';
}

interface SceneOptions {
  readonly mode?:
    'strict' | 'made' | 'strict&made' | 'closed' | 'closed&strict' | `activity${'' | '&made'}${'' | '&strict'}` | '';
  readonly limits?: object;
  readonly leaveOverview?: boolean;
}

/** A server with an onlooker in rooms a and b, and a tab whose connections may be cut. */
export async function scene(t: Test, { mode = '', limits = {}, leaveOverview = true }: SceneOptions = {}) {
  const plugins = [rooms({ leaveOverview, access: () => true }), http()] as const;
  const s = await startServer(t, { contract: roomContract, plugins, limits });
  for (const id of ['a', 'b']) await s.server.plugins.rooms.create(id, { description: `this is ${id}` });
  const onlooker = connect(s.url, { instance: 'onlooker' });
  const seen: string[] = [];
  for (const id of ['a', 'b']) {
    const room = onlooker.room(id);
    await room.join();
    const me = room.state.get().members[0]?.userId;
    room.on('*', (data, { event }) => {
      const { userId = '', member } = data as { userId?: string; member?: { userId: string } };
      if (event.startsWith('member:') && (member?.userId ?? userId) !== me) seen.push(`${event} ${id}`);
    });
  }
  const proxy = await FaultProxy.start({ target: s.port, random: random(1) });
  t.teardown(async () => {
    onlooker.close();
    await proxy.close();
  });
  const code = await (script ??= bundlePage());
  const origin = `http://127.0.0.1:${proxy.port}`;
  const address = `${origin}/hooks?server=${encodeURIComponent(origin.replace('http', 'ws'))}&${mode}`;
  const browser = await startBrowser(t);
  const tab = await browser.open(address, { script: code });
  const { page, calls } = tab;
  const shown = (): Promise<Shown[]> => page.evaluate(() => window.app.shown);
  return {
    ...tab,
    ...s,
    rooms: s.server.plugins.rooms,
    onlooker,
    seen,
    proxy,
    shown,
    go: (...widgets: string[]) => page.evaluate((widgets) => window.app.go(widgets), widgets),
    /** All that a widget showed, without repetitions. */
    async story(widget: string): Promise<string[]> {
      const entries = (await shown()).filter((entry) => entry.widget === widget).map(({ status }) => String(status));
      return entries.filter((status, i) => status !== entries[i - 1]);
    },
    /** What a widget shows last. */
    async now(widget: string): Promise<Shown | undefined> {
      return (await shown()).findLast((entry) => entry.widget === widget);
    },
    /** Resolves when a widget shows this. */
    async shows(widget: string, wanted: Record<string, unknown>): Promise<void> {
      const check = ([widget, wanted]: readonly [string, Record<string, unknown>]): boolean => {
        const entry = window.app.shown.findLast((entry) => entry.widget === widget);
        return Object.entries(wanted).every(([key, value]) => JSON.stringify(entry?.[key]) === JSON.stringify(value));
      };
      await page.waitForFunction(check, [widget, wanted] as const).catch(async () => {
        const last = (await shown()).filter((entry) => entry.widget === widget).slice(-3);
        throw new Error(`${widget} shows ${JSON.stringify(last)}, not ${JSON.stringify(wanted)}`);
      });
    },
    sent: (call: string): number => calls.filter((sent) => sent === call).length,
    /** All that was published and seen before is seen by the onlooker from here on. */
    barrier: () => Promise.all(['a', 'b'].map((id) => onlooker.call('room:members', { roomId: id }))),
  };
}

/** Nothing wrong in the tab, and one socket for all of it. */
export function well(t: Test, s: { problems: string[]; sockets: string[] }): void {
  t.same(s.problems, [], 'nothing went wrong in the tab');
  t.equal(s.sockets.length, 1, 'one WebSocket');
}
