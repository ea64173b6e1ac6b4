/** A node of a cluster keeps what every store must, on a log that answers late, and loses requests and answers at random. */
import { replicatedTestStore } from '../support/replicated.js';
import { storeConformance } from './conformance.js';

const FILLED = 'a node is filled from the log, and refuses to be filled in any other way';

storeConformance('replicated', () => replicatedTestStore(), {
  'a batch with one bad operation applies nothing':
    'a batch is in the log before the store of the node sees it: the hub makes no bad one',
  'a snapshot, restored elsewhere, is all that the store held when it was begun': FILLED,
  'a snapshot that is not whole leaves the store empty and says so': FILLED,
});
