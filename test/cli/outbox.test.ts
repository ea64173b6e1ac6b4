/** `roomwire serve --outbox`: rows of a real PostgreSQL, whose table it makes itself, reach a subscriber. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startCli } from '../support/cli.js';
import { noPostgres, startPostgres } from '../support/postgres.js';
import { until } from '../support/until.js';
import { WireClient } from '../support/wire-client.js';

t.test('a row that a backend commits is an event', { skip: noPostgres }, async (t) => {
  const postgres = await startPostgres(t);
  const file = join(t.testdir(), 'config.json');
  writeFileSync(file, JSON.stringify({ topics: { election_updates: { events: { '*': 'server' } } } }));
  const args = ['serve', '--memory', '--port', '0', '--config', file];
  const child = startCli(t, args, { ROOMWIRE_OUTBOX: postgres.url });
  let text = '';
  child.stdout?.on('data', (chunk) => (text += String(chunk)));
  await until(() => text.includes('\n'));
  const client = new WireClient(/http:\S+/.exec(text)?.[0].replace('http', 'ws') ?? '');
  t.teardown(() => client.cut());
  await client.hello();
  await client.subscribe('election_updates');
  while ((await postgres.sql("select to_regclass('roomwire_outbox') as made"))[0]?.['made'] === null);
  const insert = `insert into roomwire_outbox (topic, event, data) values ('election_updates', 'guarantee_update', '{"n":1}')`;
  // The table may be there a moment before its trigger.
  while (
    !(await postgres.sql(insert).then(
      () => true,
      () => false,
    ))
  );
  t.same(await client.event('election_updates', 'guarantee_update'), { n: 1 });
});
