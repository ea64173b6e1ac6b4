#!/usr/bin/env node
/** The `roomwire` program: finds the command and turns its failures into one line and an exit code (1: failed, 2: usage). */
import { CommandError, runCommand, UsageError, type Command } from './args.js';
import { call } from './call.js';
import { cluster } from './cluster.js';
import { conform } from './conform.js';
import { decode } from './decode.js';
import { edge } from './edge.js';
import { Lines } from './lines.js';
import { load } from './load.js';
import { escaped } from './print.js';
import { publish } from './publish.js';
import { serve } from './serve.js';
import { tail } from './tail.js';
import { token } from './token.js';
import { topic, why } from './why.js';
import { version } from '../http/version.js';

const commands: readonly Command[] = [
  serve,
  edge,
  tail,
  publish,
  call,
  why,
  topic,
  load,
  token,
  decode,
  conform,
  cluster,
];

function help(): string {
  const width = Math.max(...commands.map(({ name }) => name.length)) + 2;
  const rows = commands.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`);
  return `roomwire ${version()}: a room server\n\nroomwire <command> [options]\n\n${rows.join('\n')}\n\nroomwire <command> --help says more.\n`;
}

async function main([name, ...args]: readonly string[]): Promise<void> {
  if (name === undefined || name === '--help' || name === 'help') {
    process.stdout.write(help());
    if (name === undefined) process.exitCode = 2;
    return;
  }
  if (name === '--version') {
    process.stdout.write(`${version()}\n`);
    return;
  }
  const found = commands.find((command) => command.name === name);
  if (found === undefined) throw new UsageError(`unknown command '${name}'. See roomwire --help`);
  await runCommand(found, args);
}

main(process.argv.slice(2)).then(
  () => {
    // A command that is done is done: nothing idle may keep the process.
    process.exit();
  },
  (error: unknown) => {
    const known = error instanceof UsageError || error instanceof CommandError;
    const text = known ? escaped(error.message) : ((error as Error).stack ?? String(error));
    new Lines(2).write(`roomwire: ${text}\n`);
    process.exit(error instanceof UsageError ? 2 : 1);
  },
);
