/** The chat: the latest messages once, then as they come. Of two copies of a message the newer counts, whichever came first. */
import { useCallback, useEffect, useRef, useState, type FormEvent } from 'react';
import { useClient, useConnection, useEvent, useRoom } from '@roomwire/client/react';
import type { ChatMessage } from '../contract.js';
import { roomApi, useApi } from './api.js';

/** How long a message waits for a connection, ms; then it is back in its field. */
const WAIT_MS = 120_000;

interface Waiting {
  readonly key: string;
  readonly content: string;
}

export function Chat({ roomId }: { readonly roomId: string }) {
  const client = useClient();
  const { room, status } = useRoom(roomId);
  const connection = useConnection().status;
  const { get, attempt } = useApi();
  const [waiting, setWaiting] = useState<readonly Waiting[]>([]);
  const [known, setKnown] = useState<ReadonlyMap<string, ChatMessage>>(new Map());
  const [hasMore, setHasMore] = useState(false);
  const [text, setText] = useState('');
  const end = useRef<HTMLLIElement>(null);

  const merge = useCallback((found: readonly ChatMessage[]) => {
    setKnown((before) => {
      const after = new Map(before);
      for (const message of found) {
        if (message.version > (after.get(message.id)?.version ?? 0)) after.set(message.id, message);
      }
      return after;
    });
  }, []);
  const load = useCallback(
    async (before?: string) => {
      const query = before === undefined ? '' : `?before=${before}`;
      const page = await get<{ messages: ChatMessage[]; hasMore: boolean }>(`${roomApi(roomId)}/chat/messages${query}`);
      merge(page.messages);
      setHasMore(page.hasMore);
    },
    [get, roomId, merge],
  );
  useEffect(() => {
    if (status === 'joined') load().catch(() => undefined);
  }, [status, load]);
  useEvent(room, 'reset', () => void load().catch(() => undefined));
  useEvent(room, 'chat:message:new', (message) => merge([message]));
  useEvent(room, 'chat:message:updated', (message) => merge([message]));

  const messages = [...known.values()].sort((a, b) => Number(a.id) - Number(b.id));
  const latest = messages.at(-1)?.id;
  useEffect(() => {
    void end.current?.scrollIntoView({ block: 'nearest' });
  }, [latest, waiting]);
  const send = (event: FormEvent): void => {
    event.preventDefault();
    const content = text;
    const key = newKey();
    setText('');
    // Typed without a connection: it is in sight, and sent when there is one.
    if (connection !== 'live') setWaiting((others) => [...others, { key, content }]);
    // With a key it is sent again after a lost connection, and said once.
    const options = { key, timeoutMs: WAIT_MS };
    void attempt(async () => client?.call('chat:message:create', { roomId, content }, options)).then((sent) => {
      setWaiting((all) => all.filter((one) => one.key !== key));
      // Not lost: it can be sent again.
      if (!sent) setText((typed) => (typed === '' ? content : typed));
    });
  };
  return (
    <section className="card chat">
      <h2>Chat</h2>
      <ol className="log" aria-live="polite" aria-label="Messages" tabIndex={0}>
        {hasMore && (
          <li>
            <button className="link" onClick={() => void attempt(() => load(messages[0]?.id))}>
              earlier messages
            </button>
          </li>
        )}
        {messages.map((message) => (
          <Line key={message.id} message={message} />
        ))}
        {waiting.map(({ key, content }) => (
          <li key={key} className="message waiting" data-testid="waiting">
            <b>waiting for the connection</b>
            <p>{content}</p>
          </li>
        ))}
        <li ref={end} />
      </ol>
      <form className="line" onSubmit={send}>
        <input
          id="chat-text"
          aria-label="Message"
          placeholder="Message to all in the room"
          required
          maxLength={4000}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <button className="primary">Send</button>
      </form>
    </section>
  );
}

/** Also where the page came over plain HTTP, which has no `randomUUID`. */
const newKey = (): string => [...crypto.getRandomValues(new Uint32Array(4))].join('-');

function Line({ message }: { readonly message: ChatMessage }) {
  const { id, roomId, author, content, createdAt, isEdited } = message;
  const client = useClient();
  const { userId, attempt } = useApi();
  const [draft, setDraft] = useState<string>();
  const own = author.id === userId;
  const save = (event: FormEvent): void => {
    event.preventDefault();
    if (draft === undefined) return;
    const edit = async () => client?.call('chat:message:edit', { roomId, messageId: id, content: draft });
    void attempt(edit).then((saved) => saved && setDraft(undefined));
  };
  return (
    <li className={own ? 'message own' : 'message'} data-testid="message">
      <b>{author.name}</b>
      <time>{new Date(createdAt).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })}</time>
      {own && draft === undefined && (
        <button className="link" onClick={() => setDraft(content)}>
          edit
        </button>
      )}
      {draft === undefined ? (
        <p>
          {content} {isEdited && <span className="quiet small">(edited)</span>}
        </p>
      ) : (
        <form className="line" onSubmit={save}>
          <input
            aria-label="The message, edited"
            value={draft}
            onChange={(event) => setDraft(event.target.value)}
            onKeyDown={(event) => event.key === 'Escape' && setDraft(undefined)}
            required
            maxLength={4000}
            autoFocus
          />
          <button>Save</button>
        </form>
      )}
    </li>
  );
}
