/** A room in the middle of some work, and the list with rooms that are locked, for now and for good. */
const { fetch } = globalThis;
const SIZE = { width: 1280, height: 820 };

export async function zndraw({ url, browser, file }) {
  const person = async (name) => {
    const page = await browser.open(`${url}/rooms`, SIZE);
    await page.fill('#name', name);
    await page.press('#name', 'Enter');
    await page.locator('[data-testid=rooms-status][data-live=true]').waitFor();
    return page;
  };
  const login = await fetch(`${url}/api/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ userName: 'nightly' }),
  });
  const { token } = await login.json();
  const ask = async (method, path, body) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const response = await fetch(`${url}/api/${path}`, { method, headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  };
  const atom = { positions: [[0, 0, 0]], numbers: [6] };
  for (const [id, description, count] of [
    ['fullerene', 'C60 with a gold atom inside', 0],
    ['copper-melt', '300 K to 1,800 K, second run', 84],
    ['published-2025', 'As in the paper', 96],
    ['water-box', 'TIP4P, 512 molecules', 60],
  ]) {
    await ask('POST', `rooms/${id}`, { description });
    if (count > 0) await ask('POST', `rooms/${id}/frames`, { frames: Array.from({ length: count }, () => atom) });
  }
  await ask('PATCH', 'rooms/published-2025', { locked: true });
  await ask('PUT', 'default-room', { roomId: 'fullerene' });
  await ask('POST', 'rooms/water-box/locks/trajectory:meta', { msg: 'appends frames: 60 of 200', ttl: 60_000 });

  const [ada, bob] = [await person('ada'), await person('bob')];
  for (const page of [ada, bob]) {
    await page.click('[data-room=fullerene] a');
    await page.locator('[data-testid=room-page][data-status=joined]').waitFor();
  }
  await ada.click('[data-testid=upload-demo]');
  await ada.locator('[data-testid=frame]', { hasText: '120' }).waitFor();
  await ada.locator('[data-testid=lock-pill]').waitFor({ state: 'detached' });
  await ada.getByText('Present', { exact: true }).click();
  for (const [frame, label] of [
    [12, 'tight'],
    [104, 'widest'],
  ]) {
    await ada.getByLabel('Frame', { exact: true }).fill(String(frame));
    ada.once('dialog', (dialog) => dialog.accept(label));
    await ada.click('[data-testid=bookmark-it]');
    await ada.locator('[data-testid=bookmark]', { hasText: label }).waitFor();
  }
  await ada.getByText('plot', { exact: true }).click();
  await ada.getByLabel('Frame', { exact: true }).fill('38');
  const say = async (page, text) => {
    await page.fill('#chat-text', text);
    await page.press('#chat-text', 'Enter');
    await page.locator('[data-testid=message]', { hasText: text }).waitFor();
  };
  await say(ada, 'The cage breathes; it is widest at frame 104.');
  await say(bob, 'And the gold stays inside. I append the next run now.');
  await bob.fill('[aria-label="Work for a script"]', 'relax the cage');
  await bob.press('[aria-label="Work for a script"]', 'Enter');
  await bob.fill('[aria-label="Why you take the lock"]', 'Uploading run-2.xyz: 40 of 120');
  await bob.click('[data-testid=take]');
  await ada.locator('[data-testid=lock-pill]').waitFor();
  await ada.locator('[data-testid=plot]').waitFor();
  await ada.locator('[data-testid=job]').waitFor();
  await ada.locator('[data-testid=message]').nth(1).waitFor();
  const cara = await person('cara');
  await cara.locator('[data-room=water-box]').waitFor();
  await cara.setViewportSize({ width: 1280, height: 360 });
  await cara.screenshot({ path: file.replace('.png', '-list.png'), animations: 'disabled' });
  await ada.locator('h1').click();
  await ada.screenshot({ path: file, animations: 'disabled' });
}
