/** One class for all errors: by name where one is made, by number where one came over the wire. */
import t from 'tap';
import { problemOf } from '../../src/http/problem.js';
import { closeTexts, errorTexts, messageOf } from '../../src/protocol/code-texts.js';
import { decodeAll } from '../../src/protocol/codec.js';
import { closeName, closes, errorName, errors, type ErrorName } from '../../src/protocol/codes.js';
import { RoomwireError } from '../../src/protocol/errors.js';
import { writeNack } from '../../src/server/wire/frames.js';

t.test('an error made by name or by number is the same', async (t) => {
  for (const [name, code] of Object.entries(errors)) {
    t.match(new RoomwireError(name as ErrorName), { name, code, message: name });
    t.match(new RoomwireError(code, 'why', { details: [1] }), { name, code, message: 'why', details: [1] });
    t.equal(errorName(code), name);
  }
  for (const [name, code] of Object.entries(closes)) t.equal(closeName(code), name);
});

t.test('a number of a newer server keeps its number, and its name has it', async (t) => {
  t.match(new RoomwireError(299, 'new'), { name: 'error_299', code: 299, message: 'new' });
  t.equal(errorName(299), undefined);
  t.equal(closeName(1006), undefined);
});

t.test('every code has its texts, and no text is without a code', async (t) => {
  t.same(Object.keys(errorTexts), Object.keys(errors));
  t.same(Object.keys(closeTexts), Object.keys(closes));
});

t.test('who gets an error without a message of its own reads what it means', async (t) => {
  const { meaning } = errorTexts.deadline;
  const plain = new RoomwireError('deadline');
  const own = new RoomwireError('deadline', 'took 5 s');
  t.equal(messageOf(plain), meaning);
  t.equal(messageOf(own), 'took 5 s');
  t.equal(messageOf(new RoomwireError(299)), 'error_299');
  t.equal(messageOf(new Error('constructor')), 'constructor');
  t.same(decodeAll(writeNack(7, plain)), [[18, 7, 200, meaning]]);
  t.same(decodeAll(writeNack(7, own)), [[18, 7, 200, 'took 5 s']]);
  t.match(problemOf(plain), { title: meaning, detail: meaning, status: 504 });
  t.match(problemOf(own), { title: meaning, detail: 'took 5 s' });
  t.match(problemOf(new RoomwireError(299, 'new')), { title: 'error_299', detail: 'new', status: 400, code: 299 });
});
