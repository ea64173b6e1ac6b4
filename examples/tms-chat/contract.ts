/** What the chat's server and its clients say to each other; imports nothing of Node. */
import { defineContract } from '@roomwire/client/protocol';
import * as v from 'valibot';

/** The bare id: `conversation:` is put before it in one place, on the server. */
const ConversationId = v.pipe(
  v.string('conversation_id is missing'),
  v.regex(/^[\w-]{1,64}$/, "conversation_id is the bare id, without 'conversation:'"),
);
export const Conversation = v.object({ conversation_id: ConversationId }, 'conversation_id is missing');

export const Message = v.object({
  conversation_id: v.string(),
  sender: v.string(),
  text: v.string(),
  /** ISO 8601. */
  sent_at: v.string(),
});
export type Message = v.InferOutput<typeof Message>;

const Text = v.pipe(v.string('text is missing'), v.trim(), v.minLength(1, 'text is missing'), v.maxLength(4_000));
export const Send = v.object({ text: Text, sender: v.optional(v.string()) }, 'text is missing');

/** What became of a message: whom it reached, and why it did not reach the others. */
export const Broadcast = v.object({
  room: v.string(),
  offset: v.number(),
  /** Sessions that were in the room at that moment. */
  matched: v.number(),
  missed: v.array(v.object({ user: v.string(), verdict: v.string(), why: v.string() })),
});
export type Broadcast = v.InferOutput<typeof Broadcast>;

export const contract = defineContract({
  topics: { 'conversation:{id}': { subscribe: 'by-call', events: { new_message: Message } } },
  calls: {
    join_conversation: {
      input: Conversation,
      output: v.object({ room: v.string(), sid: v.string(), members_in_room: v.number(), offset: v.number() }),
    },
    leave_conversation: { input: Conversation, output: v.object({ room: v.string() }) },
    send_message: {
      input: v.object({ ...Conversation.entries, text: Text }, 'conversation_id or text is missing'),
      output: Broadcast,
    },
  },
});
export type Contract = typeof contract;
