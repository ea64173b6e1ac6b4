/**
 * The log in NATS JetStream: a stream whose sequence numbers are the log's. An append names the sequence it expects, and the
 * stream's leader judges; its answer is never believed without what stands there when it says no. Full streams refuse and
 * forget nothing. Snapshots have a stream of their own: parts, then one message that says where they are.
 */
import { randomUUID } from 'node:crypto';
import type { JetStreamClient, JetStreamManager, StoredMsg, StreamConfig } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { StoreError } from '../store/store.js';
import { checkedParts, Handle, type Added, type Page } from './handle.js';
import {
  checkedName,
  type Announced,
  type JournalOptions,
  type JournalRecord,
  type JournalSnapshot,
  type JournalState,
} from './journal.js';
import { Roll } from './nats-roll.js';
import { checkVersion, codeOf, described, load, messageOf, serversOf, type Modules } from './nats-server.js';

export interface NatsOptions extends JournalOptions {
  /** Between two looks for new records, ms. Default 20. */
  readonly pollMs?: number;
  /** Of streams that are made. Default 3 in a cluster, else 1. */
  readonly replicas?: number;
  /** Of the log's stream when it is made; when it is full, appends are refused. Default: no limit. */
  readonly maxStreamBytes?: number;
}

const ANSWER_MS = 5_000;
const TRY_AGAIN_MS = 1_000;
const PAGE = 32;
const HEADER_BYTES = 1_024;
/** Larger batches go in parts, and would be ever so many. */
const LEAST_PAYLOAD = 65_536;
const FORMAT = 1;
/** Error codes of JetStream. */
const NO_STREAM = 10_059;
const WRONG_LAST_ID = 10_070;
const WRONG_LAST = 10_071;
const STORE_FAILED = 10_077;

/** `url`: nats://[user:password@ | token@]host[:port][,host…], or tls://. */
export function natsJournal(url: string, options: NatsOptions = {}): NatsJournal {
  return new NatsJournal(url, options);
}

export class NatsJournal extends Handle {
  readonly #url: string;
  readonly #options: NatsOptions;
  readonly #name: string;
  #connection: NatsConnection | undefined;
  #modules: Modules | undefined;
  #streams: JetStreamManager | undefined;
  #client: JetStreamClient | undefined;
  #maxBytes = 65_536;
  /** After a reconnect nobody knows which servers have what. */
  #isDoubtful = false;
  /** The newest record that this handle saw: the server compares its id too, which a log rewritten to the same length has not. */
  #last: { readonly seq: number; readonly id: string } = { seq: 0, id: '' };
  #roll: Roll | undefined;

  constructor(url: string, options: NatsOptions) {
    super({ pollMs: options.pollMs ?? 20, tell: options.tell });
    this.#url = url;
    this.#options = options;
    this.#name = checkedName(options.name);
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** Of the log's stream, as its leader has it. */
  async config(): Promise<StreamConfig> {
    return (await this.#ask((streams) => streams.streams.info(this.#name))).config;
  }

  /** Deletes the log and its snapshots. */
  async remove(): Promise<void> {
    for (const name of [this.#name, this.#snapshots]) await this.#ask((streams) => streams.streams.delete(name));
  }

  // ---- open ----------------------------------------------------------------------------------------

  protected async connect(): Promise<void> {
    this.#modules = await load();
    let isAway = false;
    while (!this.isClosed) {
      try {
        await this.#prepare(this.#modules);
        if (isAway) this.tell('NATS answers now');
        return;
      } catch (error) {
        await this.#connection?.close();
        this.#connection = undefined;
        if (error instanceof StoreError && error.kind === 'unusable') throw error;
        if (!isAway) this.tell(`NATS does not answer, trying on: ${messageOf(error)}`);
        isAway = true;
        await this.pause(TRY_AGAIN_MS);
      }
    }
  }

  protected async disconnect(): Promise<void> {
    await this.#connection?.close();
  }

  async #prepare({ transport, jetstream }: Modules): Promise<void> {
    const connection = await transport
      .connect({
        ...serversOf(this.#url),
        name: 'roomwire',
        timeout: ANSWER_MS,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        // Else each request makes two errors with their stacks, in case it fails: a seventh of an append's CPU time.
        noAsyncTraces: true,
      })
      .catch((error: unknown) => {
        if (error instanceof transport.AuthorizationError)
          throw new StoreError('unusable', 'NATS refuses the credentials in its URL', error);
        throw error;
      });
    this.#connection = connection;
    this.#roll = new Roll(transport, connection, `${this.#name}.nodes`);
    const { info } = connection;
    if (info === undefined) throw new Error('the server does not say what it is');
    if (info.max_payload < LEAST_PAYLOAD)
      throw new StoreError(
        'unusable',
        `NATS takes ${info.max_payload} bytes at once: set its max_payload to 64 KB or more`,
      );
    this.#maxBytes = Math.min(1_048_576, info.max_payload) - HEADER_BYTES;
    if (checkVersion(info.version) === 'old')
      this.tell(`NATS ${info.version} can keep the log; 2.12 or newer is advised: it repaired losses of JetStream`);
    if (info.jetstream !== true && info.cluster === undefined)
      throw new StoreError('unusable', 'NATS runs without JetStream: start nats-server with -js');
    this.#streams = await jetstream.jetstreamManager(connection, { checkAPI: false, timeout: ANSWER_MS });
    this.#client = jetstream.jetstream(connection, { timeout: ANSWER_MS });
    const replicas = this.#options.replicas ?? (info.cluster === undefined ? 1 : 3);
    await this.#make({
      name: this.#name,
      subjects: [`${this.#name}.log`],
      num_replicas: replicas,
      max_bytes: this.#options.maxStreamBytes ?? -1,
    });
    await this.#make({ name: this.#snapshots, subjects: [`${this.#name}.snapshot.*`], num_replicas: replicas });
    void this.#watch(connection);
  }

  /** Makes a stream, or finds it as it must be. */
  async #make(own: Partial<StreamConfig> & { readonly name: string }): Promise<void> {
    const { RetentionPolicy, StorageType, DiscardPolicy } = (this.#modules as Modules).jetstream;
    const streams = (this.#streams as JetStreamManager).streams;
    const fixed = {
      subjects: own.subjects,
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      max_age: 0,
      max_msgs: -1,
      // Either would forget records without a word, or answer none.
      ...{ max_msgs_per_subject: -1, max_msg_size: -1, no_ack: false, sealed: false, deny_purge: false },
    };
    const found = await streams.info(own.name).catch((error: unknown) => {
      if (codeOf(error) === NO_STREAM) return undefined;
      throw error;
    });
    if (found === undefined && this.#options.mustExist === true)
      throw new StoreError('unusable', `there is no log there (stream ${own.name}): no node has started on it`);
    if (found === undefined) {
      const description = `roomwire log ${FORMAT} ${randomUUID()}`;
      // Another node may make it meanwhile: what is there then counts.
      await streams.add({ ...fixed, ...own, description }).catch(async (error: unknown) => {
        if ((await streams.info(own.name).catch(() => undefined)) === undefined) throw error;
      });
    }
    const { config } = await streams.info(own.name);
    const differs = Object.entries(fixed).find(
      ([key, value]) => JSON.stringify(config[key as keyof StreamConfig] ?? false) !== JSON.stringify(value),
    );
    const format = described(config)?.[1];
    const why =
      format === undefined
        ? 'roomwire did not make it'
        : format !== `${FORMAT}`
          ? `it has format ${format}, and this version reads ${FORMAT}`
          : differs !== undefined
            ? `its ${differs[0]} must be ${JSON.stringify(differs[1])}`
            : undefined;
    if (why === undefined) return;
    throw new StoreError(
      'unusable',
      `the stream ${own.name} cannot keep the log: ${why}. Set it right, give the log another name, or delete the stream if nobody needs it`,
    );
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const { type } of connection.status()) {
      if (type === 'disconnect') this.tell('NATS does not answer, trying on');
      if (type !== 'reconnect') continue;
      this.#isDoubtful = true;
      this.tell('NATS answers again');
      this.wake();
    }
  }

  // ---- records -------------------------------------------------------------------------------------

  protected async state(): Promise<JournalState> {
    const { config, state } = await this.#ask((streams) =>
      streams.streams.info(this.#name).catch((error: unknown) => {
        throw codeOf(error) === NO_STREAM ? this.gone(`the stream ${this.#name}`) : error;
      }),
    );
    const id = described(config)?.[2];
    if (id === undefined) throw new StoreError('unusable', `the stream ${this.#name} is no longer ours`);
    return { id, first: Math.max(1, state.first_seq), head: state.last_seq };
  }

  protected async page(after: number): Promise<Page> {
    const [held, next] = await Promise.all([after === 0 ? undefined : this.#record(after), this.#record(after + 1)]);
    const records = next === undefined ? [] : [next];
    if (next !== undefined) {
      const more = await Promise.all(Array.from({ length: PAGE }, (_, i) => this.#record(after + 2 + i)));
      for (const record of more) {
        if (record === undefined) break;
        records.push(record);
      }
    }
    this.#note(records.at(-1));
    return { held: held?.hash, records };
  }

  /** As the stream's leader has it: never from a replica that is behind. */
  async #record(seq: number): Promise<JournalRecord | undefined> {
    const message = await this.#ask((streams) => streams.streams.getMessage(this.#name, { seq }));
    if (message === null) return undefined;
    const text = (key: string): string => message.header.get(key);
    const [prev, hash] = [text('Roomwire-Prev'), text('Roomwire-Hash')].map((hex) => Buffer.from(hex, 'hex'));
    return { seq, id: text('Nats-Msg-Id'), prev: prev as Buffer, hash: hash as Buffer, bytes: message.data };
  }

  protected async add(record: JournalRecord): Promise<Added> {
    const { seq, id, prev, hash, bytes } = record;
    const { transport } = this.#modules as Modules;
    const headers = transport.headers();
    headers.set('Roomwire-Prev', Buffer.from(prev).toString('hex'));
    headers.set('Roomwire-Hash', Buffer.from(hash).toString('hex'));
    try {
      if (this.#isDoubtful) {
        await this.recognise({ page: (after) => this.page(after), state: () => this.state() });
        this.#isDoubtful = false;
      }
      const last = this.#last.seq === seq - 1 && seq > 1 ? { lastMsgID: this.#last.id } : {};
      const expect = { lastSequence: seq - 1, ...last };
      const options = { msgID: id, expect, headers, timeout: ANSWER_MS, retries: 1 };
      const ack = await (this.#client as JetStreamClient).publish(`${this.#name}.log`, bytes, options);
      // A duplicate is one that was: what is there now counts.
      if (ack.seq !== seq || ack.duplicate) return 'not';
      this.#note(record);
      return 'added';
    } catch (error) {
      // The server may have forgotten the id of its last message: then the next try does without.
      if (codeOf(error) === WRONG_LAST_ID) this.#last = { seq: 0, id: '' };
      if (codeOf(error) === WRONG_LAST || codeOf(error) === WRONG_LAST_ID) return 'not';
      if (codeOf(error) === STORE_FAILED && /maximum|exceeded/.test(messageOf(error))) return 'full';
      if (error instanceof StoreError && error.kind === 'unusable') throw error;
      // Nobody takes it: there may be no stream any more.
      if ((error as Error).name === 'JetStreamNotEnabled') await this.state().catch(() => undefined);
      throw new StoreError('unknown', `the record may be in the log: ${messageOf(error)}`, error);
    }
  }

  #note(record: JournalRecord | undefined): void {
    if (record !== undefined && record.seq > this.#last.seq) this.#last = { seq: record.seq, id: record.id };
  }

  /** The leader answers from what its replicas agreed on. */
  protected settle(): Promise<void> {
    return Promise.resolve();
  }

  async truncate(before: number): Promise<void> {
    this.check();
    const { head } = await this.state();
    const seq = Math.min(before, head);
    if (seq > 1) await this.#ask((streams) => streams.streams.purge(this.#name, { seq }));
  }

  // ---- snapshots -----------------------------------------------------------------------------------

  get #snapshots(): string {
    return `${this.#name}_snapshots`;
  }

  async saveSnapshot(at: number, parts: AsyncIterable<Uint8Array>): Promise<void> {
    this.check();
    const before = await this.#current();
    const id = randomUUID();
    const seqs: number[] = [];
    for await (const part of checkedParts(this, parts)) seqs.push(await this.#publish(id, part));
    const isLater = (await this.#current())?.message.seq !== before?.message.seq;
    if (isLater || (before?.at ?? 0) > at) throw new StoreError('refused', 'a snapshot of a later record is there');
    const [first = 0, last = -1] = [seqs[0], seqs.at(-1)];
    const text = JSON.stringify({ at, id, first, last, count: seqs.length });
    await this.#publish('current', Buffer.from(text), before?.message.seq ?? 0);
    // What is older than the snapshot before counts for nobody.
    const keep = before === undefined ? first : before.first > 0 ? before.first : before.message.seq;
    if (keep > 1) await this.#ask((streams) => streams.streams.purge(this.#snapshots, { seq: keep }));
  }

  async loadSnapshot(): Promise<JournalSnapshot | undefined> {
    this.check();
    const current = await this.#current();
    if (current === undefined) return undefined;
    const { at, id, first, last, count } = current;
    const get = (seq: number): Promise<StoredMsg | null> =>
      this.#ask((streams) => streams.streams.getMessage(this.#snapshots, { seq }));
    const subject = `${this.#name}.snapshot.${id}`;
    async function* parts(): AsyncIterable<Uint8Array> {
      let found = 0;
      for (let seq = first; seq <= last; seq++) {
        const message = await get(seq);
        // Two nodes may have saved theirs at once.
        if (message?.subject !== subject) continue;
        found++;
        yield message.data;
      }
      if (found !== count) throw new StoreError('refused', `the snapshot has ${found} of ${count} parts`);
    }
    return { at, parts: parts() };
  }

  async #current(): Promise<Current | undefined> {
    const subject = `${this.#name}.snapshot.current`;
    const message = await this.#ask((streams) =>
      streams.streams.getMessage(this.#snapshots, { last_by_subj: subject }),
    );
    if (message === null) return undefined;
    return { ...(JSON.parse(Buffer.from(message.data).toString()) as Omit<Current, 'message'>), message };
  }

  /** `after`: the last of its subject, or else it is refused. */
  async #publish(kind: string, bytes: Uint8Array, after?: number): Promise<number> {
    const expect = after === undefined ? {} : { expect: { lastSubjectSequence: after } };
    const { seq } = await this.#ask(() =>
      (this.#client as JetStreamClient).publish(`${this.#name}.snapshot.${kind}`, bytes, {
        timeout: ANSWER_MS,
        ...expect,
      }),
    );
    return seq;
  }

  // ---- nodes ---------------------------------------------------------------------------------------

  async announce(node: string, bytes: Uint8Array): Promise<void> {
    this.check();
    this.#roll?.announce(node, bytes);
    await Promise.resolve();
  }

  async announced(): Promise<readonly Announced[]> {
    this.check();
    return (await this.#roll?.call()) ?? [];
  }

  async #ask<T>(ask: (streams: JetStreamManager) => Promise<T>): Promise<T> {
    if (this.isClosed || this.#streams === undefined) throw new StoreError('unusable', 'the log is not open');
    try {
      return await ask(this.#streams);
    } catch (error) {
      if (error instanceof StoreError) throw error;
      throw new StoreError('refused', messageOf(error), error);
    }
  }
}

interface Current {
  readonly at: number;
  readonly id: string;
  readonly first: number;
  readonly last: number;
  readonly count: number;
  readonly message: StoredMsg;
}
