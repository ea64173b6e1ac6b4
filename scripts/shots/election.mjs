/** The dashboard of an election night, after an import, some counted votes and some voters. */
import { token } from './example.mjs';

const { fetch } = globalThis;

export async function election({ line, browser, file }) {
  const [, backend] = /backend on (\S+)/.exec(line);
  const headers = { authorization: `Bearer ${token({ sub: '1' })}` };
  const post = async (path, body) => {
    const response = await fetch(`${backend}/api/${path}/`, { method: 'POST', headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  };
  const page = await browser.open(`${backend}/#${token({ sub: '2' })}`, { height: 620 });
  await page.locator('#state.live').waitFor();
  await page.locator('#votes', { hasText: '0' }).waitFor();
  const rows = Array.from({ length: 1280 }, (_, i) => ({
    committee_id: i % 2 ? 3 : 5,
    voter: `Voter ${i}`,
    status: i % 3 ? 'confirmed' : 'pending',
  }));
  await post('guarantees/import', rows);
  for (const [candidate, votes] of [
    ['Okafor', 812],
    ['Lindqvist', 655],
    ['Marchetti', 431],
    ['Haddad', 208],
  ]) {
    await post('voting', { committee_id: 3, election_id: 1, candidate, votes });
  }
  for (const voter of ['Ines Duarte', 'Tom Becker', 'Aiko Mori']) {
    await post('attendance', { committee_id: 3, voter, present: true });
  }
  await post('guarantees', { committee_id: 5, voter: 'Lena Novak', status: 'confirmed' });
  await page.locator('#feed li', { hasText: 'Lena Novak' }).waitFor();
  await page.screenshot({ path: file, animations: 'disabled' });
}
