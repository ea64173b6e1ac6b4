import { pathToFileURL } from 'node:url';

/** Of a server's process: the build to measure instead of this checkout's. */
export const DIST = 'ROOMWIRE_BENCH_DIST';
const elsewhere = process.env[DIST];
const dist = elsewhere === undefined ? new URL('../dist/', import.meta.url) : pathToFileURL(`${elsewhere}/`);

/** The compiled modules of src under the sources' types: what is measured is what the package ships. */
const load = async <T>(path: string): Promise<T> => (await import(new URL(path, dist).href)) as T;

export const loadServer = () => load<typeof import('../src/server/server.js')>('server/server.js');
export const loadContract = () => load<typeof import('../src/protocol/index.js')>('protocol/index.js');
export const loadCodec = () => load<typeof import('../src/protocol/codec.js')>('protocol/codec.js');
export const loadLmdb = () => load<typeof import('../src/store/lmdb.js')>('store/lmdb.js');
export const loadJournal = () => load<typeof import('../src/journal/open.js')>('journal/open.js');
export const loadReplicated = () => load<typeof import('../src/journal/replicated.js')>('journal/replicated.js');
export const loadUwsLoader = () =>
  load<typeof import('../src/server/transport/uws-load.js')>('server/transport/uws-load.js');
export const loadChoose = () => load<typeof import('../src/server/transport/choose.js')>('server/transport/choose.js');
export const loadFrames = () => load<typeof import('../src/protocol/frames.js')>('protocol/frames.js');
export const loadRooms = () => load<typeof import('../src/rooms/rooms.js')>('rooms/rooms.js');
export const loadHttp = () => load<typeof import('../src/http/http.js')>('http/http.js');
export const loadPostgres = () => load<typeof import('../src/journal/postgres.js')>('journal/postgres.js');
export const loadCluster = () => load<typeof import('../src/cluster/cluster.js')>('cluster/cluster.js');
export const loadWorkers = () => load<typeof import('../src/link/workers.js')>('link/workers.js');
export const loadClient = () => load<typeof import('../src/client/index.js')>('client/index.js');
export const loadBackoff = () => load<typeof import('../src/client/backoff.js')>('client/backoff.js');
