/** A Python with the packages that the socket client runs on. Debian's has them; another one that comes first may not. */
import { spawnSync } from 'node:child_process';

const found = ['python3', '/usr/bin/python3'].find(
  (name) => spawnSync(name, ['-c', 'import websockets, msgpack']).status === 0,
);

/** Required in CI: then what is missing fails the test instead of skipping it. */
const isRequired = process.env['ROOMWIRE_REQUIRE_PYTHON'] === '1';

export const socketPython = found ?? 'python3';
export const skipSocketPython =
  found !== undefined || isRequired
    ? false
    : 'no python3 with websockets and msgpack (python3-websockets, python3-msgpack)';
