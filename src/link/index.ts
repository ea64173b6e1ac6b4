/** `@roomwire/server/link`: connections carried by other processes, for `createServer({ transport })`. A single process loads none of it. */
export { linkTransport, type LinkOptions, type OwnedEdges } from './hub.js';
export { runEdge, type Edge, type EdgeOptions } from './edge.js';
export { workers, type WorkersOptions } from './workers.js';
export { dial, readAddress, type Address, type Security } from './address.js';
