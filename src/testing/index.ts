/** `@roomwire/server/testing`: a server for an application's own tests, with faults on demand. See docs/testing.md. */
export { Fault, readStep } from '../protocol/faults.js';
export { startTestServer, type TestServer, type TestServerOptions } from './server.js';
