/** `@roomwire/server/cluster`: a server as a node of a cluster, for `createServer({ cluster })`. A single process loads none of it. */
export { cluster, type ClusterOptions } from './cluster.js';
