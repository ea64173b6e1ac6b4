/** The support desk's page: a chat list that each message puts in order as it comes, and the chat that is open. It never polls. */
import { connect, type Subscription } from '@roomwire/client';
import type { Chat, Contract, CustomerType, Message, Stats } from './contract.js';

const ROOMS = { Customer: 'CustomerApp', Partner: 'PartnerApp', Vendor: 'VendorApp', SRDP: 'SRDPApp' } as const;
const TYPES = Object.keys(ROOMS) as CustomerType[];
const token = location.hash.slice(1);
const client = connect<Contract>(location.origin.replace(/^http/, 'ws'), { token });

const at = (id: string): HTMLElement => document.getElementById(id) as HTMLElement;
function make(tag: string, className: string, ...children: (string | Node)[]): HTMLElement {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}
const clock = (iso: string): HTMLElement =>
  make('time', '', new Date(iso).toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit', hour12: false }));

/** What fails is said where the agent looks. */
function told(work: Promise<unknown>): void {
  work.catch((error: unknown) => {
    // Why there is no connection is said already.
    if ((error as Error).name !== 'disconnected') at('notice').textContent = String(error);
  });
}
/** With a key a call is sent again after a lost connection instead of failing. */
const again = (): string => crypto.randomUUID();

// ---- the list ----------------------------------------------------------------------------------------

const chats = new Map<string, Chat>();
const rows = new Map<string, HTMLElement>();
let shown: CustomerType = 'Customer';
let open: { readonly id: string; readonly stream: Subscription } | undefined;

/** From the list that was loaded or from an event, in whatever order they come: only what is newer counts. */
function apply(chat: Chat): void {
  if ((chats.get(chat.chat_id)?.version ?? 0) >= chat.version) return;
  chats.set(chat.chat_id, chat);
  showList();
  if (chat.chat_id !== open?.id) return;
  showTitle(chat);
  if (chat.unread > 0) told(call('mark_read', { chat_id: chat.chat_id }));
}

function showList(): void {
  const before = new Map([...rows].map(([id, row]) => [id, row.offsetTop]));
  const list = [...chats.values()]
    .filter(({ customer_type }) => customer_type === shown)
    .sort((a, b) => b.order - a.order);
  rows.clear();
  for (const chat of list) rows.set(chat.chat_id, rowOf(chat));
  const focused = document.activeElement?.closest<HTMLElement>('[data-chat]')?.dataset['chat'] ?? '';
  at('list').replaceChildren(...rows.values());
  // Rows are made anew: whoever moves by keyboard stays where they were.
  rows.get(focused)?.querySelector('button')?.focus();
  at('empty').hidden = list.length > 0;
  for (const [id, row] of rows) {
    const from = before.get(id) ?? row.offsetTop;
    if (from === row.offsetTop) continue;
    row.animate([{ transform: `translateY(${from - row.offsetTop}px)` }, { transform: 'none' }], 250);
  }
}

function rowOf({ chat_id, name, last_message, last_at, unread }: Chat): HTMLElement {
  const isOpen = chat_id === open?.id;
  const count = isOpen || unread === 0 ? '' : String(unread);
  const face = make('span', 'face', name.slice(0, 1).toUpperCase());
  const hue = [...chat_id].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 360, 7);
  face.style.background = `hsl(${hue} 42% 46%)`;
  const button = make('button', '', face, make('span', 'name', name), clock(last_at));
  const badge = make('span', 'badge', count);
  if (count !== '') badge.append(make('span', 'unseen', ' unread'));
  button.append(make('span', 'last', last_message), badge);
  button.setAttribute('aria-current', String(isOpen));
  button.onclick = () => told(openChat(chat_id));
  const row = make('li', count === '' ? '' : 'unread', button);
  row.dataset['chat'] = chat_id;
  return row;
}

function showStats({ chats: count, unread, rooms }: Stats): void {
  at('stats').textContent = `${count} chats`;
  document.title = unread > 0 ? `(${unread}) Support desk` : 'Support desk';
  for (const type of TYPES) {
    const badge = document.querySelector(`[data-type=${type}] .badge`) as HTMLElement;
    badge.textContent = String(rooms[ROOMS[type]]?.unread || '');
  }
}

async function joinCustomerTypeRoom(type: CustomerType): Promise<void> {
  const room = ROOMS[type];
  console.log(`Joining socket room: ${room} for customerType: ${type}`);
  const response = await client.call('join_room', { room }, { key: again() });
  if (response.status === 1) await load(type);
  else at('notice').textContent = response.message;
}

/** After the join: what comes from here on is an event. What the list has no more was forgotten by the server. */
async function load(type: CustomerType): Promise<void> {
  const known = [...chats.values()].filter(({ customer_type }) => customer_type === type);
  const response = await fetch(`/chats?customer_type=${type}`, { headers: { authorization: `Bearer ${token}` } });
  const list = (await response.json()) as { chats: Chat[]; stats: Stats };
  for (const { chat_id } of known) if (!list.chats.some((chat) => chat.chat_id === chat_id)) chats.delete(chat_id);
  list.chats.forEach(apply);
  showList();
  showStats(list.stats);
}

for (const type of TYPES) {
  const tab = make('button', '', type, make('span', 'badge'));
  tab.dataset['type'] = type;
  tab.onclick = () => show(type);
  at('types').append(tab);
  const updates = client.listen(ROOMS[type]);
  updates.on('*', (chat) => {
    console.log('New onRoomUpdate received:', JSON.stringify(chat));
    apply(chat as Chat);
  });
  updates.on('reset', () => told(load(type)));
  // The server forgot this session: it comes back by joining again.
  updates.on('removed', () => told(joinCustomerTypeRoom(type)));
}
const joined = new Set<CustomerType>();
function show(type: CustomerType): void {
  shown = type;
  for (const tab of document.querySelectorAll<HTMLElement>('[data-type]')) {
    tab.setAttribute('aria-pressed', String(tab.dataset['type'] === type));
  }
  showList();
  if (!joined.has(type)) told(joinCustomerTypeRoom(type));
  joined.add(type);
}

// ---- the open chat -----------------------------------------------------------------------------------

async function openChat(id: string): Promise<void> {
  if (open?.id === id) return;
  if (open !== undefined) {
    open.stream.unsubscribe();
    told(call('leave_chat', { chat_id: open.id }));
  }
  const stream = client.listen(`chat_${id}`);
  const mine = (open = { id, stream: stream as unknown as Subscription });
  stream.on('new_message', showMessage);
  stream.on('tag_updated', ({ tags }) => showTitle({ ...(chats.get(id) as Chat), tags }));
  // Gone by no one's will (the server forgot this session): joined again.
  stream.on('removed', () => told(enter()));
  stream.on('reset', () => told(enter()));
  const enter = async (): Promise<void> => {
    const response = await client.call('join_chat', { chat_id: id }, { key: again() });
    if (open !== mine) return;
    at('notice').textContent = response.status === 1 ? '' : response.message;
    for (const part of ['title', 'messages', 'send']) at(part).hidden = response.status !== 1;
    if (response.status !== 1) return;
    at('messages').replaceChildren();
    response.messages.forEach(showMessage);
    const chat = chats.get(id) as Chat;
    showTitle(chat);
    if (chat.unread > 0) told(call('mark_read', { chat_id: id }));
  };
  showList();
  await enter();
}

function showMessage({ from, text, sent_at }: Message): void {
  at('messages').append(make('p', from, text, clock(sent_at)));
  at('messages').scrollTop = at('messages').scrollHeight;
}

function showTitle({ name, tags }: Chat): void {
  at('title').replaceChildren(name, ...tags.map((tag) => make('span', 'tag', tag)));
}

const call = (name: 'mark_read' | 'leave_chat', input: { chat_id: string }) => client.call(name, input);
/** How long a message waits for a connection, ms; then it is back in its field. */
const WAIT_MS = 120_000;

async function send(chat_id: string, text: string): Promise<void> {
  const field = at('text') as HTMLInputElement;
  const isLive = client.state.get().status === 'live';
  const waiting = make('p', 'agent waiting', text, make('span', '', ' (waiting for the connection)'));
  if (!isLive) at('messages').append(waiting);
  try {
    await client.call('send_message', { chat_id, text }, { key: again(), timeoutMs: WAIT_MS });
  } catch (error) {
    if (open?.id === chat_id && field.value === '') field.value = text;
    throw error;
  } finally {
    waiting.remove();
  }
}
at('send').onsubmit = (event) => {
  event.preventDefault();
  const field = at('text') as HTMLInputElement;
  const text = field.value;
  field.value = '';
  if (open !== undefined && text.trim() !== '') told(send(open.id, text));
};

client.subscribe('dashboard').on('dashboard_stats', showStats);
client.state.subscribe(({ status, reason }) => {
  at('state').textContent = status;
  at('state').className = status;
  if (status === 'refused') {
    const why = token === '' ? 'You are not signed in' : `You were not let in (${reason?.name ?? ''})`;
    at('notice').textContent = `${why}: open the link to sign in that the server printed when it started.`;
  } else if (status === 'offline') at('state').textContent = 'offline, connecting again: what you write waits';
});
show('Customer');
