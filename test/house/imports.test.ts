/** The import rules hold here, and each of them fails where it is broken. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ESLint, Linter } from 'eslint';
import t from 'tap';

const root = fileURLToPath(new URL('../..', import.meta.url));

function check(dir: string): { status: number | null; output: string } {
  const run = spawnSync(process.execPath, [`${root}scripts/check-imports.mjs`, dir], { encoding: 'utf8' });
  return { status: run.status, output: run.stdout + run.stderr };
}

t.test('the imports of this repository are as they should be', async (t) => {
  const { status, output } = check(root);
  t.equal(status, 0, output);
  t.match(output, /^imports: [1-9]\d* modules, [1-9]\d* imports, all as they should be/);
});

t.test('the check fails when it sees no modules', async (t) => {
  const { status, output } = check(t.testdir({ src: { 'notes.md': '' } }));
  t.equal(status, 1);
  t.match(output, 'no modules under');
});

t.test('what the rules allow passes', async (t) => {
  const dir = t.testdir({
    src: {
      'index.ts': `export { server } from './server/server.js';\nexport { rooms } from './rooms/rooms.js';`,
      protocol: {
        'codes.ts': 'export const codes = 1;',
        'schema.ts': `import 'valibot';\nexport { codes } from './codes.js';`,
      },
      client: {
        'client.ts': `export { codes } from '../protocol/codes.js';`,
        'types.ts': 'export type A = 1;',
        'node.ts': `import 'ws';\nimport 'node:net';\nimport './client.js';`,
      },
      react: {
        'hooks.ts': `import 'react';\nimport type { A } from '../client/types.js';\nexport type B = A;`,
      },
      store: { 'lmdb-store.ts': `import 'lmdb';\nimport 'node:fs';\nimport '../protocol/codes.js';` },
      server: {
        'server.ts': `import '../store/lmdb-store.js';\nimport './transport/ws.js';\nexport const server = 1;`,
        'api.ts': 'export interface Api { readonly a: 1 }',
        transport: { 'ws.ts': `import 'ws';`, 'uws.ts': `import 'uws-20.30';` },
      },
      rooms: {
        'rooms.ts': `import type { Api } from '../server/api.js';\nexport const rooms: Api | undefined = undefined;`,
      },
      http: {
        'rest.ts': `import '../rooms/rooms.js';\nimport '../server/server.js';`,
        page: { 'app.ts': `import '../../client/client.js';` },
      },
      cli: { 'main.ts': `import '../http/rest.js';\nimport '../server/transport/ws.js';\nimport '../index.js';` },
    },
  });
  const { status, output } = check(dir);
  t.equal(status, 0, output);
});

/** File → one import it may not have, and what the check says of it. */
const forbidden: readonly (readonly [file: string, specifier: string, says: string])[] = [
  ['protocol/a.ts', '../client/free.js', 'protocol/ may import nothing outside itself'],
  ['protocol/b.ts', 'node:fs', 'protocol/ uses no module of Node'],
  ['protocol/c.ts', 'jose', 'protocol/ uses only valibot'],
  ['client/a.ts', '../store/free.js', 'client/ may import only protocol'],
  ['client/b.ts', 'node:fs', 'client/ uses no module of Node'],
  ['client/c.ts', 'jose', 'client/ uses no package'],
  ['client/d.ts', 'ws', 'belongs to server/transport/ws.ts, server/transport/loopback.ts, client/node.ts'],
  ['react/a.ts', '../client/free.js', 'react/ may import only protocol, client/index.ts, client/types.ts'],
  ['react/b.ts', 'node:fs', 'react/ uses no module of Node'],
  ['react/c.ts', 'react-dom', 'react/ uses only react'],
  ['client/e.ts', '../react/free.js', 'client/ may import only protocol'],
  ['store/a.ts', '../server/server.js', 'store/ may import only protocol'],
  ['store/b.ts', 'lmdb', 'belongs to store/lmdb*.ts'],
  ['store/c.ts', 'ioredis', 'belongs to store/redis*.ts'],
  ['server/a.ts', '../rooms/free.js', 'server/ may import only protocol, store'],
  ['server/transport/a.ts', '../../client/free.js', 'server/transport/ may import only protocol, store, server/time'],
  ['server/time/a.ts', '../server.js', 'server/time/ may import only protocol, store'],
  ['server/time/b.ts', '../transport/free.js', 'server/time/ may import only protocol, store'],
  ['server/b.ts', 'ws', 'belongs to server/transport/ws.ts'],
  ['server/c.ts', 'uws-20.57', 'belongs to server/transport/uws*.ts'],
  ['rooms/a.ts', '../server/hub.js', 'rooms/ may import only protocol, server/server.ts, server/api.ts'],
  ['rooms/b.ts', '../store/free.js', 'rooms/ may import only protocol'],
  ['rooms/c.ts', '../http/free.js', 'rooms/ may import only protocol'],
  ['hooks/a.ts', '../policy/free.js', 'hooks/ may import only protocol, rooms, server/server.ts'],
  ['policy/a.ts', '../server/hub.js', 'policy/ may import only protocol, rooms, hooks, server/server.ts'],
  ['http/a.ts', '../server/hub.js', 'http/ may import only protocol, rooms, hooks, server/server.ts'],
  ['http/b.ts', '../cli/free.js', 'http/ may import only protocol, rooms'],
  ['http/c.ts', './page/free.js', 'http/ may import only protocol, rooms'],
  ['http/page/a.ts', '../free.js', 'http/page/ may import only protocol, client'],
  ['http/page/b.ts', 'node:fs', 'http/page/ uses no module of Node'],
  ['entry.ts', './cli/free.js', 'the entry may import only protocol'],
];

t.test('every forbidden import is found', async (t) => {
  const free = { 'free.ts': 'export const free = 1;' };
  const src: Record<string, Record<string, string | Record<string, string>> | string> = {
    protocol: { ...free, 'gone.ts': `import './nowhere.js';\nimport '../../outside.js';` },
    client: { ...free },
    react: { ...free },
    store: { ...free },
    server: { ...free, 'hub.ts': '', 'server.ts': '', transport: { ...free } },
    rooms: { ...free },
    hooks: { ...free },
    policy: { ...free },
    http: { ...free, page: { ...free } },
    cli: { ...free },
    misc: { ...free },
  };
  for (const [file, specifier] of forbidden) put(src, file.split('/'), `import '${specifier}';\n`);
  const { status, output } = check(t.testdir({ 'outside.ts': '', src }));
  t.equal(status, 1);
  for (const [file, specifier, says] of forbidden) {
    const line = output
      .split('\n')
      .find((line) => line.startsWith(`imports: ${file} → ${specifier.replace('node:', '')}: `));
    t.match(line, says, `${file} → ${specifier}`);
  }
  t.match(output, 'protocol/gone.ts → ./nowhere.js: cannot be resolved');
  t.match(output, 'protocol/gone.ts → ../../outside.js: lies outside src/');
  t.match(output, 'misc/free.ts: its folder is not in scripts/import-rules.mjs');
  t.equal(output.trim().split('\n').length, forbidden.length + 3, 'and nothing else');
});

t.test('the drawing of the rooms is held against the imports, and the rooms against the drawing', async (t) => {
  const drawn = (...floors: readonly string[]): { docs: { 'architecture.md': string } } => ({
    docs: {
      'architecture.md': `\`\`\`rooms\n${floors.map((rooms) => ` ${rooms} │ what is in it\n`).join('')}\`\`\`\n`,
    },
  });
  const src = {
    protocol: { 'a.ts': 'export const a = 1;' },
    server: { hub: { 'b.ts': `export { a } from '../../protocol/a.js';` } },
  };
  const real = readFileSync(`${root}docs/architecture.md`, 'utf8').split('```')[3] ?? '';
  const rooms = [...real.matchAll(/^ ([a-z ]+?) *│/gm)].flatMap(([, names = '']) => names.split(/\s+/));
  const others = rooms.filter((name) => name !== 'protocol' && name !== 'hub').join('  ');
  const judged = (...floors: readonly string[]): ReturnType<typeof check> =>
    check(t.testdir({ src, ...drawn(...floors) }));
  t.match(judged('hub', others, 'protocol'), { status: 0 });
  const upward = judged('protocol', others, 'hub');
  t.match(upward, { status: 1, output: /server\/hub\/b\.ts → src\/protocol\/a\.ts: .* not on a floor below hub/ });
  t.match(judged('hub  protocol', others), { status: 1, output: /not on a floor below hub/ });
  t.match(judged('hub', 'protocol'), { status: 1, output: /the drawing lacks the room rooms/ });
  t.match(judged('hub attic', others, 'protocol'), { status: 1, output: /no room is called attic/ });
});

t.test('a cycle is found, also one of types only', async (t) => {
  const values = { 'a.ts': `export { b } from './b.js';`, 'b.ts': `import './a.js';\nexport const b = 1;` };
  const types = {
    'c.ts': `import type { D } from './d.js';\nexport type C = D;`,
    'd.ts': `import type { C } from './c.js';\nexport type D = C[];`,
  };
  const { status, output } = check(t.testdir({ src: { store: { ...values, ...types } } }));
  t.equal(status, 1);
  t.match(output, /cycle: store\/[ab]\.ts → store\/[ab]\.ts → and again/);
  t.match(output, /cycle: store\/[cd]\.ts → store\/[cd]\.ts → and again/);
});

t.test('in the server only the file of frames, the dispatch and the probe name opcodes', async (t) => {
  const eslint = new ESLint({ cwd: root });
  const linter = new Linter();
  const refused = async (file: string, code: string): Promise<boolean> => {
    const config = (await eslint.calculateConfigForFile(`${root}src/server/${file}`)) as { rules: Linter.RulesRecord };
    const rule = config.rules['no-restricted-syntax'] ?? 'off';
    return linter.verify(code, [{ rules: { 'no-restricted-syntax': rule } }]).length > 0;
  };
  t.ok(await refused('hub/a.ts', 'send([Op.ACK, 1]);'), 'an opcode in another file');
  t.ok(await refused('hub/a.ts', 'export default 1;'), 'and what is refused everywhere');
  for (const file of ['wire/frames.ts', 'connection/dispatch.ts', 'probe/client.ts']) {
    t.notOk(await refused(file, 'send([Op.ACK, 1]);'), file);
  }
});

t.test('ESLint refuses the same imports while one types', async (t) => {
  const eslint = new ESLint({ cwd: root });
  const linter = new Linter();
  const findings = async (file: string, code: string) => {
    const config = (await eslint.calculateConfigForFile(`${root}src/${file}`)) as { rules: Linter.RulesRecord };
    const rule = config.rules['no-restricted-imports'] ?? 'off';
    return linter.verify(code, [{ rules: { 'no-restricted-imports': rule } }]).length;
  };
  for (const [file, specifier] of forbidden) {
    t.ok(await findings(file, `import '${specifier}';`), `${file} → ${specifier}`);
  }
  t.ok(await findings('server/a.ts', `import 'fs';`), 'a module of Node without node:');
  t.ok(await findings('server/a.ts', `import { createRequire } from 'node:module';`), 'createRequire');
  const allowed = [
    ['protocol/a.ts', 'valibot'],
    ['client/node.ts', 'ws'],
    ['client/node.ts', 'node:net'],
    ['client/a.ts', '../protocol/codes.js'],
    ['react/a.ts', 'react'],
    ['react/a.ts', '../client/types.js'],
    ['store/lmdb-keys.ts', 'lmdb'],
    ['server/transport/ws.ts', 'ws'],
    ['server/transport/uws-load.ts', 'uws-20.30'],
    ['server/transport/ws.ts', '../time/wheel.js'],
    ['rooms/a.ts', '../server/api.js'],
    ['rooms/a.ts', '../server/server.js'],
    ['policy/a.ts', '../hooks/hooks.js'],
    ['http/a.ts', '../rooms/rooms.js'],
    ['http/page/app.ts', '../../client/index.js'],
    ['cli/main.ts', '../server/hub.js'],
    ['index.ts', './rooms/rooms.js'],
  ] as const;
  for (const [file, specifier] of allowed)
    t.notOk(await findings(file, `import '${specifier}';`), `${file} → ${specifier}`);
  for (const file of ['server/transport/uws-load.ts', 'store/lmdb-engine.ts']) {
    t.notOk(await findings(file, `import { createRequire } from 'node:module';`), `createRequire in ${file}`);
  }
});

t.test('an example may import what a program elsewhere could, and nothing of this repository', async (t) => {
  const eslint = new ESLint({ cwd: root });
  const linter = new Linter();
  const findingsIn = async (file: string): Promise<(specifier: string) => number> => {
    const config = (await eslint.calculateConfigForFile(`${root}examples/${file}`)) as { rules: Linter.RulesRecord };
    const rule = config.rules['no-restricted-imports'] ?? 'off';
    return (specifier) =>
      linter.verify(`import '${specifier}';`, [{ rules: { 'no-restricted-imports': rule } }]).length;
  };
  const program = await findingsIn('zndraw-rooms/server.ts');
  const page = await findingsIn('zndraw-rooms/page/app.tsx');
  const packages = [
    '@roomwire/server',
    '@roomwire/client',
    '@roomwire/client/protocol',
    '@roomwire/client/react',
    'valibot',
    'node:fs',
    'esbuild',
  ];
  for (const specifier of [...packages, './contract.js']) t.equal(program(specifier), 0, specifier);
  for (const specifier of ['react', 'react-dom/client', './player.js', '../contract.js']) {
    t.equal(page(specifier), 0, specifier);
  }
  for (const specifier of [
    '../../src/index.js',
    '../tms-chat/contract.js',
    '@roomwire/server/dist/index.js',
    'jose',
    'ws',
  ]) {
    t.equal(program(specifier), 1, specifier);
    t.equal(page(specifier), 1, specifier);
  }
  t.equal(page('../server.js'), 1, 'a page runs in a browser');
});

function put(tree: Record<string, unknown>, [name = '', ...rest]: readonly string[], content: string): void {
  if (rest.length === 0) tree[name] = content;
  else put((tree[name] ??= {}) as Record<string, unknown>, rest, content);
}
