/**
 * `npm run example -- <name> [options]`: runs examples/<name>/server.ts as its own program would run, against
 * the built package.
 */
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { register } from 'tsx/esm/api';

const examples = new URL('../examples/', import.meta.url);
const [name, ...options] = process.argv.slice(2);
const names = readdirSync(examples, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);
const program = new URL(`${name}/server.ts`, examples);
if (!names.includes(name) || !existsSync(program)) {
  console.error(`npm run example -- <name> [--host ADDRESS] [--port N], where <name> is one of: ${names.join(', ')}`);
  process.exit(2);
}
process.argv = [process.execPath, fileURLToPath(program), ...options];
// Without tsconfig.json, whose paths lead to the sources: the package's name leads to its exports, as everywhere else.
register({ tsconfig: false });
try {
  await import(program.href);
} catch (error) {
  if (error.code !== 'EADDRINUSE') throw error;
  console.error(`${name}: the port is in use: stop the other program, or choose one with --port N (0: any free)`);
  process.exit(1);
}
