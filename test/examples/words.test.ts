/** The examples' contracts say what is wrong with an input in a sentence that names the field once. */
import t from 'tap';
import type * as v from 'valibot';
import { contract as chatDashboard, Incoming } from '../../examples/chat-dashboard/contract.js';
import { contract as electionUpdates } from '../../examples/election-updates/contract.js';
import { contract as partyMembership } from '../../examples/party-membership/contract.js';
import { contract as tmsChat, Send } from '../../examples/tms-chat/contract.js';
import { contract as zndrawRooms, Frame } from '../../examples/zndraw-rooms/contract.js';
import { isDoubled, refusalsOf } from '../support/refusals.js';

const contracts = { chatDashboard, electionUpdates, partyMembership, tmsChat, zndrawRooms };
const bodies = { Incoming, Send, Frame };

t.test('no message about an input of the examples names its field twice', async (t) => {
  const inputs: [name: string, schema: v.GenericSchema][] = Object.entries(bodies);
  for (const [name, { calls }] of Object.entries(contracts)) {
    for (const [call, { input }] of Object.entries(calls)) inputs.push([`${name} ${call}`, input]);
  }
  for (const [name, input] of inputs) {
    for (const refusal of refusalsOf(input)) t.notOk(isDoubled(refusal), `${name}: ${refusal.sentence}`);
  }
  t.ok(inputs.length > 40, `${inputs.length} inputs`);
});
