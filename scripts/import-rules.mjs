/**
 * Who may import what under src/: the one table behind ESLint (each import as it is written) and
 * scripts/check-imports.mjs (each import as it resolves, and cycles). To allow more, edit it here.
 */

/** What `rooms`, `hooks`, `policy` and `http` may see of the server: what a user of the package sees. */
export const SERVER_PUBLIC = ['server/server.ts', 'server/api.ts'];

/** Files that no floor of the drawing in docs/architecture.md holds: the public types, and who may do what with topics. */
export const OFF_THE_FLOORS = ['server/api.ts', 'server/policy.ts'];

/** What `react` may see of the client: what a user of the package sees. */
export const CLIENT_PUBLIC = ['client/index.ts', 'client/types.ts'];

/** A room of the server: may import protocol, store, the named rooms and single files of the server. */
function room(name, ...others) {
  return {
    folder: `server/${name}`,
    folders: ['protocol', 'store', ...others.map((other) => `server/${other}`)],
    node: true,
  };
}

/** The server's rooms from the bottom up: each imports only rooms named before it, the public types, and what judges topics. */
const SERVER_ROOMS = [
  room('time'),
  room('wire'),
  room('watch', 'time'),
  room('transport', 'time', 'watch'),
  room('gate', 'time', 'wire', 'transport', 'watch', 'api.ts'),
  room('hub', 'time', 'wire', 'transport', 'watch', 'gate', 'api.ts'),
  room('sessions', 'time', 'wire', 'transport', 'watch', 'gate', 'hub', 'api.ts', 'policy.ts'),
  room('calls', 'time', 'wire', 'transport', 'watch', 'gate', 'hub', 'sessions', 'api.ts', 'policy.ts'),
  room('connection', 'time', 'wire', 'transport', 'watch', 'gate', 'hub', 'sessions', 'calls', 'api.ts', 'policy.ts'),
  room('diagnosis', 'wire', 'gate', 'hub', 'sessions', 'api.ts', 'policy.ts'),
  room('live', 'time', 'transport', 'watch', 'gate', 'hub', 'diagnosis', 'api.ts', 'policy.ts'),
  room('probe', 'time', 'wire', 'transport', 'gate', 'hub', 'sessions', 'api.ts'),
];

const SERVER = ['server', ...SERVER_ROOMS.map(({ folder }) => folder)];

/**
 * `folders`: other folders of src, or single files of them. `node`: whether Node's own modules are
 * allowed. `packages`: the only packages allowed; without it, any that PACKAGE_OWNERS does not give away.
 * The first row whose folder holds the file counts; '' is the package's entry, src/index.ts.
 */
export const FOLDERS = [
  { folder: 'protocol', folders: [], node: false, packages: ['valibot'] },
  { folder: 'client', folders: ['protocol'], node: false, packages: [] },
  { folder: 'react', folders: ['protocol', ...CLIENT_PUBLIC], node: false, packages: ['react'] },
  { folder: 'store', folders: ['protocol'], node: true },
  { folder: 'conform', folders: ['protocol'], node: true },
  { folder: 'journal', folders: ['protocol', 'store'], node: true },
  ...SERVER_ROOMS,
  { folder: 'server', folders: ['protocol', 'store', ...SERVER.slice(1)], node: true },
  {
    folder: 'link',
    folders: [
      'protocol',
      'server/transport',
      'server/watch',
      'server/gate/doorkeeper.ts',
      'server/gate/doors.ts',
      'server/gate/sha256.ts',
    ],
    node: true,
  },
  { folder: 'testing', folders: ['protocol', ...SERVER], node: true },
  {
    folder: 'cluster',
    folders: [
      'protocol',
      'store',
      'journal',
      'link',
      'server/transport',
      'server/gate/doors.ts',
      'server/gate/sha256.ts',
      'server/options.ts',
    ],
    node: true,
  },
  { folder: 'rooms', folders: ['protocol', ...SERVER_PUBLIC], node: true },
  { folder: 'hooks', folders: ['protocol', 'rooms', ...SERVER_PUBLIC], node: true },
  { folder: 'policy', folders: ['protocol', 'rooms', 'hooks', ...SERVER_PUBLIC], node: true },
  { folder: 'http/page', folders: ['protocol', 'client'], node: false, packages: [] },
  { folder: 'http', folders: ['protocol', 'rooms', 'hooks', ...SERVER_PUBLIC], node: true },
  {
    folder: 'cli',
    folders: [
      'protocol',
      'client',
      'store',
      'journal',
      ...SERVER,
      'link',
      'testing',
      'cluster',
      'rooms',
      'hooks',
      'policy',
      'http',
      'conform',
      'index.ts',
    ],
    node: true,
  },
  { folder: '', folders: ['protocol', 'store', ...SERVER, 'rooms', 'hooks', 'policy', 'http'], node: true },
];

/** Files that may use Node's modules although their folder may not. */
export const NODE_EXCEPTIONS = ['client/node.ts', 'client/socket/node.ts'];

/** Packages that only these files may know. `*` stands for the rest of a file name. */
export const PACKAGE_OWNERS = [
  { packages: ['uws-20.30', 'uws-20.57', 'uWebSockets.js'], files: ['server/transport/uws*.ts'] },
  {
    packages: ['ws'],
    files: [
      'server/transport/ws.ts',
      'server/transport/loopback.ts',
      'client/node.ts',
      'client/socket/node.ts',
      'cli/load/line.ts',
      'conform/wire.ts',
      'conform/peer.ts',
      'conform/scripted-server.ts',
    ],
  },
  { packages: ['lmdb'], files: ['store/lmdb*.ts'] },
  { packages: ['msgpackr'], files: ['link/frames.ts'] },
  { packages: ['pg'], files: ['journal/postgres*.ts', 'hooks/outbox-postgres.ts'] },
  { packages: ['@nats-io/transport-node', '@nats-io/jetstream', '@nats-io/nats-core'], files: ['journal/nats*.ts'] },
  { packages: ['redis', '@redis/client', 'ioredis'], files: ['store/redis*.ts'] },
];

/** Only these load their package with `createRequire`, which no check can follow. */
export const CREATE_REQUIRE_OWNERS = ['server/transport/uws*.ts', 'server/transport/ws.ts', 'store/lmdb*.ts'];

/** The row for a path under src; undefined for a folder that has none. */
export function rowOf(file) {
  return FOLDERS.find(({ folder }) => (folder === '' ? !file.includes('/') : file.startsWith(`${folder}/`)));
}

/** Whether a path under src is meant by a pattern of this file. */
export function matches(file, pattern) {
  const [start, end] = pattern.split('*');
  if (end === undefined) return file === pattern;
  return file.startsWith(start) && file.endsWith(end) && !file.slice(start.length).includes('/');
}
