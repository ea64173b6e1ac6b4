/** `roomwire cluster`: the nodes, as each tells the others beside the log. Asks the engine alone, so it works while no hub is there. */
import { nodesIn } from '../journal/nodes.js';
import { journalAt } from '../journal/open.js';
import type { NodeReport } from '../protocol/http-answers.js';
import { CommandError } from './args.js';
import { opened } from './log-engine.js';
import { printJson, printLine, tell } from './print.js';

/** A node tells of itself each second: one that has not for so long is not there, or does not reach the engine. */
const SILENT_MS = 5_000;
const HEADS = ['node', 'role', 'term', 'advertised', 'lag', 'last beat', 'seen'];

export interface NodesShown {
  readonly url: string;
  readonly json: boolean;
  readonly timeoutMs: number;
}

/** Rejects with a CommandError when the engine is away, or no node is the hub. */
export async function showNodes({ url, json, timeoutMs }: NodesShown): Promise<void> {
  const journal = await opened(() => journalAt(url, { mustExist: true, tell }), timeoutMs);
  let nodes: readonly NodeReport[];
  try {
    nodes = await nodesIn(journal);
  } catch (error) {
    throw new CommandError((error as Error).message);
  } finally {
    await journal.close();
  }
  if (json) for (const node of nodes) printJson(node);
  else for (const line of tableOf(nodes)) printLine(line);
  if (nodes.length === 0) throw new CommandError('no node has been seen in the last minute');
  if (!nodes.some(({ role, seenMs }) => role === 'hub' && seenMs < SILENT_MS))
    throw new CommandError('no node is the hub');
}

function tableOf(nodes: readonly NodeReport[]): string[] {
  if (nodes.length === 0) return [];
  const rows = [HEADS, ...nodes.map(rowOf)];
  const widths = HEADS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const problems = nodes.flatMap(({ node, problem }) => (problem === undefined ? [] : [`${node}: ${problem}`]));
  return [...lines, ...problems];
}

function rowOf({ node, role, term, advertise, lag, lastBeatMs, seenMs }: NodeReport): string[] {
  const ago = (ms: number | null): string => (ms === null ? '-' : `${(ms / 1_000).toFixed(1)} s ago`);
  const stands = seenMs < SILENT_MS ? role : `${role}, silent`;
  // What it said of the hub is as old as that it said it.
  const beat = lastBeatMs === null ? null : lastBeatMs + seenMs;
  return [node, stands, `${term}`, advertise === '' ? '-' : advertise, `${lag}`, ago(beat), ago(seenMs)];
}
