/** The tests of election-updates once more, on `roomwire serve --config` with the backend in Python: no TypeScript on the server. */
import { serveIt } from './election-updates.js';

serveIt();
await import('./election-updates.test.js');
await import('./election-updates-backend.test.js');
