/**
 * Makes the pictures of the README's examples, docs/examples/<name>.png: the real programs, their pages in a real
 * browser, or what commands print.
 *
 *   npm run docs:examples [-- name …]
 */
import { mkdirSync, statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { chats } from './shots/chats.mjs';
import { election } from './shots/election.mjs';
import { root, startBrowser, startExample } from './shots/example.mjs';
import { party } from './shots/party.mjs';
import { tms } from './shots/tms.mjs';
import { zndraw } from './shots/zndraw.mjs';

const SHOTS = {
  'chat-dashboard': { take: chats },
  'election-updates': { take: election, args: ['--backend-port', '0'] },
  'party-membership': { take: party },
  'tms-chat': { take: tms },
  'zndraw-rooms': { take: zndraw },
};

const { positionals } = parseArgs({ allowPositionals: true });
const names = positionals.length > 0 ? positionals : Object.keys(SHOTS);
mkdirSync(`${root}docs/examples`, { recursive: true });
const browser = await startBrowser();
try {
  for (const name of names) {
    const { take, args = [] } = SHOTS[name] ?? {};
    if (take === undefined) throw new Error(`no such example; there are: ${Object.keys(SHOTS).join(', ')}`);
    const file = `${root}docs/examples/${name}.png`;
    const program = await startExample(name, args);
    try {
      await take({ ...program, browser, file });
    } finally {
      program.stop();
    }
    console.log(`docs/examples/${name}.png: ${statSync(file).size} bytes`);
  }
} finally {
  await browser.close();
}
