/**
 * Two front ends that were written for Socket.IO: run as they are against Socket.IO's server, then, with import and URL
 * changed and nothing else, against the examples. The files in clients/ are frozen.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import t, { type Test } from 'tap';
import type { Contract } from '../../examples/zndraw-rooms/contract.js';
import { FaultProxy } from '../chaos/fault-proxy.js';
import { CHAT, start as startChats } from '../examples/chat-dashboard.js';
import { skip as skipPython } from '../examples/election-updates.js';
import { random } from '../random.js';
import { says, skipBrowser, startBrowser } from '../support/browser.js';
import { startExample } from '../support/example.js';
import { until, within } from '../support/until.js';
import type * as Chats from './clients/chat.service.js';
import { chatReference, roomsReference } from './reference.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const clients = fileURLToPath(new URL('clients/', import.meta.url));
/** What may be changed in them: nothing. */
const FROZEN = {
  'chat.service.ts': '046ac598aaa1036e',
  'page.tsx': 'f5934066e08124fb',
  'roomsStore.ts': '7329765d0435197b',
  'useSocketManager.ts': '17871c55a28d136a',
};
const IMPORT = "'socket.io-client'";
const OURS = "'@roomwire/client/socket'";
const URL_OF_OLD = "'http://127.0.0.1:3000'";

/** A folder with the clients, in which import and URL are changed. */
function changed(t: Test, name: string, { library, url }: { readonly library: string; readonly url: string }): string {
  const folder = join(t.testdir({ [name]: {} }), name);
  mkdirSync(folder, { recursive: true });
  for (const file of readdirSync(clients)) {
    const text = readFileSync(join(clients, file), 'utf8');
    writeFileSync(join(folder, file), text.replace(IMPORT, library).replace(URL_OF_OLD, `'${url}'`));
  }
  return folder;
}

async function bundle(entry: string, platform: 'browser' | 'node'): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform,
    format: platform === 'node' ? 'esm' : 'iife',
    target: 'es2022',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    ...(platform === 'node' ? { packages: 'external' as const } : {}),
    tsconfigRaw: {},
  });
  return outputFiles[0]?.text ?? '';
}

t.test('the clients are as they were', async (t) => {
  const sums = readdirSync(clients).map((file) => [
    file,
    createHash('sha256')
      .update(readFileSync(join(clients, file)))
      .digest('hex')
      .slice(0, 16),
  ]);
  t.same(Object.fromEntries(sums), FROZEN);
});

t.test('with the import changed they still compile', async (t) => {
  const folder = changed(t, 'compiled', { library: OURS, url: 'http://127.0.0.1:3000' });
  const options = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { noEmit: true, paths: {}, rootDir: root, types: ['node'] },
    include: ['*.ts', '*.tsx'],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(options));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  t.equal(spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' }).stdout, '');
});

async function proxied(t: Test, url: string): Promise<{ proxy: FaultProxy; url: string }> {
  const proxy = await FaultProxy.start({ target: Number(new URL(url).port), random: random(1) });
  t.teardown(() => proxy.close());
  return { proxy, url: `http://127.0.0.1:${proxy.port}` };
}

const onRoomwire = (served: boolean) => async (t: Test) => {
  const { url, tokens, incoming } = await startChats(t, { served });
  return {
    library: OURS,
    url,
    token: tokens.asha,
    incoming: async (chat: string, text: string): Promise<void> => void (await incoming(chat, text)),
  };
};
const chatBackends = {
  'Socket.IO': async (t: Test) => ({ library: IMPORT, ...(await chatReference(t)) }),
  roomwire: onRoomwire(false),
  'roomwire serve, and no TypeScript on the server': onRoomwire(true),
};

for (const [name, begin] of Object.entries(chatBackends)) {
  t.test(`the support desk's chat service with ${name}`, { skip: name.includes('serve') && skipPython }, async (t) => {
    const backend = await begin(t);
    const { proxy, url } = await proxied(t, backend.url);
    const folder = changed(t, 'chats', { library: backend.library, url });
    const built = join(folder, 'chat.service.mjs');
    writeFileSync(built, await bundle(join(folder, 'chat.service.ts'), 'node'));
    const { ChatService } = (await import(pathToFileURL(built).href)) as typeof Chats;

    const service = new ChatService();
    t.teardown(() => service.disconnect());
    service.connect(backend.token);
    service.joinCustomerTypeRoom('Customer'); // not connected yet
    const updates: Chats.ChatUpdate[] = [];
    const messages: string[] = [];
    service.onRoomUpdate((chat) => updates.push(chat));
    service.onNewMessage(({ text }) => messages.push(text));
    await until(() => service.log.includes('in CustomerApp'), 'the answer to join_room');
    t.ok(service.connected);
    t.type(service.id, 'string');

    await backend.incoming(CHAT, 'Where is my order?');
    await until(() => updates.length === 1, 'the first update');
    t.match(updates[0], { chat_id: CHAT, last_message: 'Where is my order?', unread: 1 });
    t.ok(service.log.includes('New onRoomUpdate received'));
    service.joinRoom('Nowhere');
    await until(() => service.log.includes('not in: Invalid room: Nowhere'), 'the refusal');

    t.match(await service.joinChat(CHAT), { status: 1, room: `chat_${CHAT}` });
    const sent = (text: string) =>
      new Promise<Chats.ChatMessage>((resolve) => service.sendMessage(CHAT, text, resolve));
    t.match(await sent('On its way'), { chat_id: CHAT, text: 'On its way' });
    t.match(await service.markRead(CHAT), { unread: 0 });
    const tagged = new Promise((resolve) => service.onceTagUpdated(resolve));
    service.updateTags(CHAT, ['urgent']);
    t.same(await tagged, ['urgent']);
    t.same(messages, ['On its way']);

    proxy.refusing = true;
    proxy.cutAll();
    await until(() => !service.connected, 'the end of the connection');
    const offline = sent('typed offline');
    service.typing(CHAT);
    proxy.refusing = false;
    t.match(await within(offline, 'the answer to what was typed offline'), { text: 'typed offline' });
    await until(() => service.connected, 'the reconnect');
    t.ok(service.log.some((line) => line.startsWith('disconnected: transport')));
    const before = updates.length;
    await backend.incoming(CHAT, 'Thank you');
    await until(() => updates.slice(before).some(({ last_message }) => last_message === 'Thank you'), 'the update');

    service.disconnect();
    t.equal(service.log.at(-1), 'disconnected: io client disconnect');
  });
}

const roomBackends = {
  'Socket.IO': async (t: Test) => ({ library: IMPORT, ...(await roomsReference(t)) }),
  roomwire: async (t: Test) => {
    const { url, ask } = await startExample<Contract>(t, 'zndraw-rooms');
    const token = async (userName: string): Promise<string> =>
      (await ask('/api/login', { method: 'POST', body: { userName } })).body['token'] as string;
    const backend = await token('backend');
    const asks = (method: string) => async (roomId: string, body?: object) => {
      const path = `/api/rooms/${roomId}`;
      const { status } = await ask(path, { method, token: backend, ...(body === undefined ? {} : { body }) });
      if (status >= 300) throw new Error(`${method} ${path}: ${status}`);
    };
    return {
      library: OURS,
      url,
      token,
      create: (id: string, description: string) => asks('POST')(id, { description }),
      change: asks('PATCH'),
      remove: (id: string) => asks('DELETE')(id),
    };
  },
};

for (const [name, begin] of Object.entries(roomBackends)) {
  t.test(`the trajectory viewer's hook with ${name}`, { skip: skipBrowser }, async (t) => {
    const backend = await begin(t);
    const { proxy, url } = await proxied(t, backend.url);
    const folder = changed(t, 'rooms', { library: backend.library, url });
    const script = await bundle(join(folder, 'page.tsx'), 'browser');
    const browser = await startBrowser(t);
    const { page, problems } = await browser.open(`${url}/page`, { script });
    const goTo = (room: string | undefined) => page.evaluate((room) => window.goTo(room), room);
    /** This page awaits no join: what is told before it is not heard, so something is told until it is. */
    const hears = async (tell: (i: number) => Promise<void>, line: string): Promise<void> => {
      for (let i = 1; (await page.locator('li', { hasText: line }).count()) === 0; i++) await tell(i);
    };
    await page.evaluate((token) => window.start(token), await backend.token('ann'));
    await says(page, 'h1', 'rooms: connected');
    await hears((i) => backend.create(`early-${i}`, 'Early'), 'Early');
    await backend.create('first', 'First');
    await says(page, 'li', 'first First open free');
    await backend.change('first', { locked: true });
    await says(page, 'li', 'first First locked free');
    await backend.change('first', { locked: false });

    await goTo('first');
    await says(page, 'h1', 'first: connected');
    await hears((i) => backend.change('first', { description: `In the room ${i}` }), 'In the room');
    proxy.cutAll();
    await says(page, 'h1', 'first: not connected');
    await says(page, 'h1', 'first: connected');
    await hears((i) => backend.change('first', { description: `Again ${i}` }), 'Again');
    await goTo(undefined);
    await says(page, 'h1', 'rooms: connected');
    await hears((i) => backend.create(`late-${i}`, 'Late'), 'Late');
    await backend.remove('first');
    await page.locator('li', { hasText: 'first' }).waitFor({ state: 'detached' });
    t.same(
      problems.filter((problem) => !/WebSocket/.test(problem)),
      [],
    );
  });
}
