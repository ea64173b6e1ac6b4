/** A support desk in the middle of a chat, while others come in. */
import { createHmac } from 'node:crypto';
import { KEY, token } from './example.mjs';

const { fetch } = globalThis;

export async function chats({ url, browser, file }) {
  let count = 0;
  const incoming = async (chat_id, name, text, customer_type = 'Customer') => {
    const body = JSON.stringify({ message_id: `m${++count}`, chat_id, customer_type, name, text });
    const signature = `sha256=${createHmac('sha256', KEY).update(body).digest('hex')}`;
    const headers = { 'content-type': 'application/json', 'x-hub-signature-256': signature };
    const response = await fetch(`${url}/webhook/incoming-message`, { method: 'POST', headers, body });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  };
  await incoming('d4', 'Dev Kapoor', 'Thank you, that solved it!');
  await incoming('c3', 'Chitra Rao', 'Is the blue one still there?');
  await incoming('b2', 'Bela Nagy', 'Can I pay by card on delivery?');
  await incoming('v1', 'Varun Traders', 'Invoice 1182 attached', 'Vendor');
  await incoming('a1', 'Anil Mehta', 'Hello, my parcel has not arrived.');
  const page = await browser.open(`${url}/#${token({ sub: 'asha', name: 'Asha', role: 'agent' })}`, { height: 620 });
  await page.click('[data-chat=a1]');
  await page.locator('#messages p').first().waitFor();
  for (const [from, text] of [
    ['agent', 'Sorry to hear that. Which order is it?'],
    ['customer', '4711, from Tuesday.'],
    ['agent', 'Found it: it is on the van and comes today before 18:00.'],
  ]) {
    if (from === 'customer') await incoming('a1', 'Anil Mehta', text);
    else {
      await page.fill('#text', text);
      await page.press('#text', 'Enter');
    }
    await page.locator('#messages p', { hasText: text }).waitFor();
  }
  await incoming('b2', 'Bela Nagy', 'And is Friday possible?');
  await incoming('c3', 'Chitra Rao', 'I would take two of them.');
  await incoming('c3', 'Chitra Rao', 'Hello?');
  await page.locator('[data-chat=c3] .badge', { hasText: '3' }).waitFor();
  await page.screenshot({ path: file, animations: 'disabled' });
}
