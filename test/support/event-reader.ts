/** Reads `text/event-stream` from a bare HTTP connection: every event, comment and id as they came, and stalls when told to. */
import { Agent, request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import type { Test } from './server.js';
import { until } from './until.js';

export interface Block {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: unknown;
}

/** One that is followed, as an event stream has it. */
export interface Shown {
  readonly offset: number;
  readonly event: string;
  readonly data: unknown;
}

export class EventReader {
  readonly response: IncomingMessage;
  /** Each that has data, in order. */
  readonly blocks: Block[] = [];
  /** The last one told, as a browser would send it when it comes back. */
  lastEventId = '';
  retry = 0;
  comments = 0;
  /** It was told to the end, or cut. */
  ended: 'whole' | 'cut' | undefined;
  #text = '';

  constructor(response: IncomingMessage) {
    this.response = response;
    response.setEncoding('utf8');
    response.on('data', (text: string) => this.#take(text));
    response.on('end', () => (this.ended ??= 'whole'));
    response.on('error', () => (this.ended ??= 'cut'));
    response.on('close', () => (this.ended ??= 'cut'));
  }

  get status(): number {
    return this.response.statusCode ?? 0;
  }

  /** Those that the topic's log has. */
  get events(): Shown[] {
    return this.blocks.filter(({ event }) => event?.startsWith('$') !== true).map(({ data }) => data as Shown);
  }

  get offsets(): number[] {
    return this.events.map(({ offset }) => offset);
  }

  /** Of the server's own. */
  own(name: '$reset' | '$end'): Block[] {
    return this.blocks.filter(({ event }) => event === name);
  }

  async count(events: number): Promise<this> {
    await until(() => this.events.length >= events || this.ended !== undefined, `${events} events`);
    return this;
  }

  async end(): Promise<this> {
    await until(() => this.ended !== undefined, 'the end');
    return this;
  }

  cut(): void {
    this.response.destroy();
  }

  #take(text: string): void {
    this.#text += text;
    for (let end = this.#text.indexOf('\n\n'); end !== -1; end = this.#text.indexOf('\n\n')) {
      this.#block(this.#text.slice(0, end).split('\n'));
      this.#text = this.#text.slice(end + 2);
    }
  }

  #block(lines: readonly string[]): void {
    const field = (name: string): string | undefined =>
      lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
    const id = field('id');
    if (id !== undefined) this.lastEventId = id;
    const retry = field('retry');
    if (retry !== undefined) this.retry = Number(retry);
    if (lines[0]?.startsWith(':') === true) this.comments++;
    const data = field('data');
    if (data !== undefined) this.blocks.push({ id, event: field('event'), data: JSON.parse(data) });
  }
}

/** Each has a connection of its own, which ends with the test. */
export async function readEvents(t: Test, url: string, headers: Record<string, string> = {}): Promise<EventReader> {
  const agent = new Agent({ keepAlive: false });
  const asking = request(url, { agent, headers });
  asking.end();
  t.teardown(() => asking.destroy());
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  const reader = new EventReader(response);
  // What a destroyed request reports is expected.
  asking.on('error', () => undefined);
  return reader;
}
