/**
 * The Python client as one of a run: a process that hears topics and publishes to one of them (clients/python/tests/chaos.py),
 * and tells line by line what the recorder writes down of everyone.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { textOf, type At, type EntryOf } from './history.js';
import type { Recorder } from './recorder.js';

interface Part {
  readonly url: string;
  readonly token: string;
  readonly topics: readonly string[];
  readonly publish: { readonly topic: string; readonly event: string; readonly count: number; readonly window: number };
}

interface PythonOptions {
  readonly python: string;
  readonly recorder: Recorder;
  readonly delivered: () => void;
  readonly part: Part;
}

type Said =
  | { readonly kind: 'live' | 'published' }
  | { readonly kind: 'begin'; readonly topic: string }
  | { readonly kind: 'ready' | 'reset'; readonly topic: string; readonly at: At }
  | {
      readonly kind: 'event';
      readonly topic: string;
      readonly at: At;
      readonly by: string | null;
      readonly event: string;
      readonly data: unknown;
    }
  | { readonly kind: 'end'; readonly topic: string; readonly code: number }
  | { readonly kind: 'ask'; readonly n: number; readonly data: unknown }
  | { readonly kind: 'answer'; readonly n: number; readonly at?: At; readonly code?: number }
  | { readonly kind: 'state'; readonly room: string; readonly state: Readonly<Record<string, unknown>> }
  | { readonly kind: 'problem'; readonly text: string };

const PROGRAM = fileURLToPath(new URL('../../clients/python/tests/chaos.py', import.meta.url));

export class PythonClient {
  readonly who = 'py';
  /** The last event, or RESET, that it heard of. */
  readonly views: { readonly topic: string; at: At | undefined }[];
  /** All that it publishes was answered. */
  readonly published: Promise<void>;
  readonly #child: ChildProcess;
  readonly #options: PythonOptions;
  readonly #begins = new Map<string, EntryOf<'begin'>>();
  /** Its numbers of publishes, and the history's. */
  readonly #ops = new Map<number, number>();
  readonly #states: ((state: Readonly<Record<string, unknown>>) => void)[] = [];
  #ended = false;

  constructor(options: PythonOptions) {
    this.#options = options;
    this.views = options.part.topics.map((topic) => ({ topic, at: undefined }));
    this.#child = spawn(options.python, [PROGRAM, JSON.stringify(options.part)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child.stdin?.on('error', () => undefined);
    this.published = new Promise((resolve, reject) => {
      this.#child.on('exit', (code) => {
        if (!this.#ended) options.recorder.problem(`the Python client ended with ${code ?? 'a signal'}`);
        reject(new Error('the Python client ended'));
      });
      createInterface(this.#child.stdout as NodeJS.ReadableStream).on('line', (line) => {
        const said = JSON.parse(line) as Said;
        if (said.kind === 'published') resolve();
        this.#said(said);
      });
    });
    this.published.catch(() => undefined);
  }

  /** A room's state as it has it. */
  state(room: string): Promise<Readonly<Record<string, unknown>>> {
    return new Promise((resolve) => {
      this.#states.push(resolve);
      this.#child.stdin?.write(`${room}\n`);
    });
  }

  end(): void {
    this.#ended = true;
    this.#child.kill('SIGKILL');
  }

  #said(said: Said): void {
    const { who } = this;
    const { recorder, part, delivered } = this.#options;
    switch (said.kind) {
      case 'live':
        recorder.note({ kind: 'live', who });
        break;
      case 'begin':
        this.#begins.set(said.topic, recorder.note({ kind: 'begin', who, topic: said.topic, at: undefined }));
        break;
      case 'ready': {
        const begin = this.#begins.get(said.topic);
        if (begin) begin.at = said.at;
        break;
      }
      case 'event': {
        const { topic, at, by, event, data } = said;
        recorder.heard++;
        recorder.note({ kind: 'event', who, topic, at, by, text: textOf(event, data) });
        this.#moved(topic, at);
        delivered();
        break;
      }
      case 'reset':
        recorder.note({ kind: 'reset', who, topic: said.topic, at: said.at });
        this.#moved(said.topic, said.at);
        break;
      case 'end':
        recorder.note({ kind: 'end', who, topic: said.topic, code: said.code });
        break;
      case 'ask': {
        const text = textOf(part.publish.event, said.data);
        this.#ops.set(said.n, recorder.ask({ who, call: 'publish', of: part.publish.topic, text }));
        break;
      }
      case 'answer':
        recorder.answer(this.#ops.get(said.n) as number, { at: said.at, code: said.code });
        break;
      case 'state':
        this.#states.shift()?.(said.state);
        break;
      case 'problem':
        recorder.problem(`${who}: ${said.text}`);
        break;
      case 'published':
        // The promise says so.
        break;
    }
  }

  #moved(topic: string, at: At): void {
    const view = this.views.find((view) => view.topic === topic);
    if (view) view.at = at;
  }
}
