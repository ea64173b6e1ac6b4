/**
 * nats-server over WebSocket: a process of its own, fed over one TCP connection as a backend would,
 * all events of an order in one write. Its CPU alone is counted, not that of this process.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { topicName } from './names.js';
import { payloadOf, servePeer, type Usage } from './peer.js';
import { processorTime } from './processor-time.js';

const START_MS = 10_000;

servePeer(async ({ bytes }) => {
  const directory = mkdtempSync(join(tmpdir(), 'roomwire-bench-nats-'));
  const config = join(directory, 'nats.conf');
  writeFileSync(
    config,
    `listen: "127.0.0.1:-1"
ports_file_dir: "${directory}"
ping_interval: "1h"
websocket { listen: "127.0.0.1:-1", no_tls: true, compression: false }
`,
  );
  const child = spawn('nats-server', ['-c', config, '-l', join(directory, 'log')], { stdio: 'ignore' });
  process.on('exit', () => {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });
  child.on('error', (error) => {
    throw error;
  });
  const ports = await portsOf(child, directory);
  const socket = connect(ports.nats, '127.0.0.1').setNoDelay();
  await once(socket, 'connect');
  socket.resume();
  socket.write('CONNECT {"verbose":false,"pedantic":false}\r\n');
  const payload = Buffer.from(payloadOf(bytes)).toString('latin1');
  const order = publisher(socket);
  return {
    port: ports.websocket,
    publish: (topic) => order(`PUB ${topicName(topic)} ${bytes}\r\n${payload}\r\n`),
    usage: () => usageOf(child.pid as number),
  };
});

/** Gathers what one turn publishes into one write. */
function publisher(socket: Socket): (text: string) => void {
  let waiting: string[] = [];
  return (text) => {
    if (waiting.push(text) > 1) return;
    queueMicrotask(() => {
      socket.write(waiting.join(''), 'latin1');
      waiting = [];
    });
  };
}

/** The server writes a file with its ports once it listens. */
async function portsOf(child: ChildProcess, directory: string): Promise<{ nats: number; websocket: number }> {
  const file = join(directory, `nats-server_${child.pid}.ports`);
  for (const deadline = Date.now() + START_MS; Date.now() < deadline;) {
    if (existsSync(file)) {
      try {
        const { nats, websocket } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string[]>;
        return { nats: Number(new URL(nats?.[0] ?? '').port), websocket: Number(new URL(websocket?.[0] ?? '').port) };
      } catch {
        // Half written.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('nats-server did not start');
}

/** From /proc: the processor time of every thread, and the resident memory. */
function usageOf(pid: number): Usage {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { cpuMicroseconds: processorTime(pid), rss: Number(kilobytes) * 1024, heap: 0 };
}
