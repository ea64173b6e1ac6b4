/**
 * Somebody who does nothing wrong while others attack, in a process of its own, so that it waits for the
 * server and not for the attackers: `onlooker-child.ts <url> <token>`. It makes one call after the other, and
 * now and then comes anew, from another address. Told `begin` and `end` over IPC, it answers with what it saw.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { WireClient } from '../support/wire-client.js';
import type { Seen } from './attack.js';

const [url = '', token = ''] = process.argv.slice(2);
/** Ms between two calls; calls between two arrivals. */
const PAUSE = 3;
const ARRIVAL = 50;
const elsewhere = { 'x-forwarded-for': '192.0.2.7' };

const client = new WireClient(url, undefined, elsewhere);
await client.hello({ token, instance: 'onlooker' });

async function arrive(): Promise<void> {
  const newcomer = new WireClient(url, undefined, elsewhere);
  await newcomer.hello({ token, instance: 'newcomer', grace: 0 });
  await newcomer.close();
}

let watching = false;
let watched: Promise<Seen> | undefined;

async function watch(): Promise<Seen> {
  const waits: number[] = [];
  let arrivals = 0;
  let arrival = 0;
  while (watching || waits.length === 0) {
    const asked = performance.now();
    if (((await client.call('echo', waits.length)) as unknown) !== waits.length) throw new Error('a wrong answer');
    waits.push(performance.now() - asked);
    client.frames.length = client.messages.length = 0;
    if (waits.length % ARRIVAL === 1) {
      const knocked = performance.now();
      await arrive();
      arrivals++;
      arrival = Math.max(arrival, performance.now() - knocked);
    }
    await delay(PAUSE);
  }
  waits.sort((a, b) => a - b);
  const at = (q: number): number => waits[Math.min(waits.length - 1, Math.floor(waits.length * q))] as number;
  return { answers: waits.length, arrivals, arrival, p50: at(0.5), p99: at(0.99), longest: at(1) };
}

process.on('message', (order) => {
  watching = order === 'begin';
  if (watching) watched = watch();
  else void watched?.then((seen) => process.send?.(seen));
});
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
