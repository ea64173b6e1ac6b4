/**
 * The model test: random joins, leaves, publishes, locks, presenters, cuts, lost frames, restarts and time, against a
 * small model of what each client must see and each room must be. A failure is shrunk to the few commands that need it.
 * The same seed runs the same again; MODEL_PATH leads straight to the shrunk one.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { check } from './check.js';
import { back, pass } from './happenings.js';
import { mix } from './mix.js';
import { Model } from './model.js';
import { STEP_MS } from './plan.js';
import type { RealClient } from './real-client.js';
import { World, type WorldOptions } from './world.js';

export interface ModelOptions extends WorldOptions {
  readonly seed: number;
  readonly runs: number;
  /** At most, in one run. */
  readonly commands: number;
  /** What an earlier failure named as its MODEL_PATH: straight to the shrunk commands. */
  readonly replay?: string | undefined;
}

export interface ModelResult {
  readonly seed: number;
  readonly runs: number;
  readonly commands: number;
  readonly seconds: number;
  /** The shrunk failure, and how to see it again. */
  readonly complaints: readonly string[];
}

type Commands = Iterable<fc.AsyncCommand<Model, World>> & { toString(): string };

export async function runModel(options: ModelOptions): Promise<ModelResult> {
  const { seed, runs, commands, replay } = options;
  const [path, replayPath] = replay?.split(' ') ?? [];
  const began = performance.now();
  let worlds = 0;
  let done = 0;
  const all = fc.commands(mix, { maxCommands: commands, size: 'max', replayPath });
  const property = fc.asyncProperty(all, async (list) => {
    const directory = join(options.path, String(worlds++));
    if (options.store === 'lmdb') mkdirSync(directory);
    done += await play({ ...options, path: directory }, list);
  });
  const { failed, numRuns, counterexample, counterexamplePath, errorInstance } = await fc.check(property, {
    seed,
    numRuns: runs,
    path,
  });
  const complaints: string[] = [];
  if (failed) {
    const shrunk = (counterexample as readonly [Commands] | null)?.[0].toString() ?? '';
    const way = /replayPath="(.*)"/.exec(shrunk)?.[1] ?? '';
    complaints.push(
      `${shrunk.replace(/ \/\*.*\*\/$/, '')}\n${errorInstance instanceof Error ? errorInstance.message : String(errorInstance)}`,
      `SEED=${seed} MODEL_PATH='${counterexamplePath} ${way}' goes straight there`,
    );
  }
  return { seed, runs: numRuns, commands: done, seconds: (performance.now() - began) / 1_000, complaints };
}

/** Runs the commands in a world of their own; how many were done. */
export async function play(options: WorldOptions, commands: Iterable<fc.AsyncCommand<Model, World>>): Promise<number> {
  const world = await World.start(options);
  const model = new Model();
  let done = 0;
  const counted = [...commands].map((command) => ({
    check: (now: Readonly<Model>) => command.check(now),
    run: (now: Model, real: World) => {
      done++;
      return command.run(now, real);
    },
    toString: () => command.toString(),
  }));
  try {
    model.server.now = world.time.wall();
    await everybodyBack(model, world);
    await fc.asyncModelRun(() => ({ model, real: world }), counted);
    await everybodyBack(model, world);
  } finally {
    await world.stop();
  }
  return done;
}

/** Everyone is connected, and all that was asked for is answered. */
async function everybodyBack(model: Model, world: World): Promise<void> {
  await pass(model, world, STEP_MS);
  for (const [i, client] of model.clients.entries()) {
    if (client.live) continue;
    await back(world, client, world.clients[i] as RealClient);
    await check(model, world);
  }
  const waiting = [...model.asked].filter(([, { state }]) => state === 'waiting').map(([{ op }]) => op);
  if (waiting.length > 0) throw new Error(`was never answered: ${JSON.stringify(waiting)}`);
}
