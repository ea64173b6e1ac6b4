/** The tests of chat-dashboard once more, on `roomwire serve --config` with its backend in Python: no TypeScript on the server. */
import t from 'tap';
import { serveIt } from './chat-dashboard.js';
import { skip } from './election-updates.js';

serveIt();
if (skip === false) await import('./chat-dashboard.test.js');
else t.pass('nothing was started', { skip });
