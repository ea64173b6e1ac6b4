/**
 * Makes the table of settings in docs/config.md, between its markers, from the schema that `roomwire serve` checks
 * them with (built: dist/cli/settings.js). With `--check` it only says whether it is stale.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { settings, shown } from '../dist/cli/settings.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const file = `${root}docs/config.md`;
const START = '<!-- settings: made by npm run docs:config -->';
const END = '<!-- end -->';

const cell = (text) => text.replaceAll('|', '\\|');
const rows = settings
  .filter(({ path }) => !path.startsWith('limits.'))
  .map(({ path, flag, help, preset }) => {
    const where = flag === undefined ? 'file only' : `\`--${flag}\``;
    return `| \`${path}\` | ${where} | ${cell(help)} | ${preset === undefined ? '' : `\`${shown(preset)}\``} |`;
  });
const table = ['| setting | flag | meaning | default |', '| --- | --- | --- | --- |', ...rows].join('\n');

const text = readFileSync(file, 'utf8');
const from = text.indexOf(START);
const to = text.indexOf(END, from);
if (from === -1 || to === -1) throw new Error('docs/config.md has lost its markers');
const wanted = `${text.slice(0, from + START.length)}\n\n${table}\n\n${text.slice(to)}`;
if (process.argv.includes('--check')) {
  if (wanted !== text) {
    console.error('docs/config.md is stale: run npm run docs:config');
    process.exit(1);
  }
  console.log('docs/config.md: its settings are those of the schema');
} else {
  writeFileSync(file, wanted);
  console.log('docs/config.md: wrote the settings');
}
