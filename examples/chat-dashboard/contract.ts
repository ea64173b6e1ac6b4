/** What the chat's server, its pages and its customers say to each other; imports nothing of Node. */
import { defineContract } from '@roomwire/client/protocol';
import * as v from 'valibot';

export const CustomerType = v.picklist(['Partner', 'Customer', 'Vendor', 'SRDP']);
export type CustomerType = v.InferOutput<typeof CustomerType>;
/** The dashboards: the rooms that `join_room` takes, each with the event that tells of one of its chats. */
export const DASHBOARDS = {
  Partner: { room: 'PartnerApp', update: 'room_update' },
  Customer: { room: 'CustomerApp', update: 'room_update_customer' },
  Vendor: { room: 'VendorApp', update: 'room_update_vendor' },
  SRDP: { room: 'SRDPApp', update: 'room_update_srdp' },
} as const satisfies Record<CustomerType, { room: string; update: string }>;

const ChatId = v.pipe(v.string(), v.regex(/^\w{1,64}$/, 'chat_id has letters, digits and _'));
const Text = v.pipe(v.string(), v.trim(), v.minLength(1, 'text is missing'), v.maxLength(4_000));
const Tags = v.pipe(v.array(v.pipe(v.string(), v.minLength(1), v.maxLength(40))), v.maxLength(10));

/** A chat as the list shows it. */
export const Chat = v.object({
  chat_id: v.string(),
  customer_type: CustomerType,
  name: v.string(),
  last_message: v.string(),
  /** ISO 8601. */
  last_at: v.string(),
  /** Messages that no agent has seen. */
  unread: v.number(),
  tags: v.array(v.string()),
  /** The highest is on top: grows with each message. */
  order: v.number(),
  /** Grows with each change: apply only what is newer. */
  version: v.number(),
});
export type Chat = v.InferOutput<typeof Chat>;

export const Message = v.object({
  message_id: v.string(),
  chat_id: v.string(),
  from: v.picklist(['customer', 'agent']),
  name: v.string(),
  text: v.string(),
  sent_at: v.string(),
});
export type Message = v.InferOutput<typeof Message>;

const Count = v.object({ chats: v.number(), unread: v.number() });
export const Stats = v.object({ ...Count.entries, rooms: v.record(v.string(), Count) });
export type Stats = v.InferOutput<typeof Stats>;

/** What WhatsApp's side posts for each message that comes in. */
export const Incoming = v.object({
  message_id: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  chat_id: ChatId,
  customer_type: CustomerType,
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(100)),
  text: Text,
});
export type Incoming = v.InferOutput<typeof Incoming>;

const Refused = v.object({ status: v.literal(0), message: v.string() });
const Joined = v.variant('status', [v.object({ status: v.literal(1), room: v.string() }), Refused]);
const JoinedChat = v.variant('status', [
  v.object({ status: v.literal(1), room: v.string(), messages: v.array(Message) }),
  Refused,
]);
const OneChat = v.object({ chat_id: ChatId });
const dashboard = <E extends string>(update: E) => ({
  subscribe: 'by-call' as const,
  events: { [update]: Chat } as Record<E, typeof Chat>,
});

export const contract = defineContract({
  topics: {
    PartnerApp: dashboard('room_update'),
    CustomerApp: dashboard('room_update_customer'),
    VendorApp: dashboard('room_update_vendor'),
    SRDPApp: dashboard('room_update_srdp'),
    /** One chat. */
    'chat_{id}': {
      subscribe: 'by-call',
      events: { new_message: Message, tag_updated: v.object({ chat_id: v.string(), tags: v.array(v.string()) }) },
    },
    dashboard: { events: { dashboard_stats: Stats } },
  },
  calls: {
    join_room: { input: v.object({ room: v.optional(v.string(), '') }), output: Joined },
    join_chat: { input: OneChat, output: JoinedChat },
    join_chat_customer: { input: OneChat, output: JoinedChat },
    leave_chat: { input: OneChat, output: v.object({ room: v.string() }) },
    send_message: { input: v.object({ chat_id: ChatId, text: Text }), output: Message },
    mark_read: { input: OneChat, output: Chat },
    update_tags: { input: v.object({ chat_id: ChatId, tags: Tags }), output: Chat },
    /** The server calls the client that asked: the reply of join_room once more, for those who listen by its name. */
    join_room_response: { input: Joined },
  },
});
export type Contract = typeof contract;
