import { expect, test } from 'vitest';
import { createLogBook } from './log-book.ts';

const line = (seq: number, more: object = {}): string =>
  JSON.stringify({ seq, atMs: 1, level: 'info', source: 'console', message: `line ${seq}`, ...more });

test('lines are kept in order and without duplicates, across the sandboxes of a function', () => {
  const book = createLogBook();
  for (const seq of [1, 2, 2, 1, 3]) book.take('f', 'ia', line(seq));
  book.take('f', 'ib', line(1, { message: 'of the next sandbox' }));
  book.take('g', 'ic', line(1));
  expect(book.read('f', 0, 10).map(({ cursor, message }) => [cursor, message])).toEqual([
    [1, 'line 1'],
    [2, 'line 2'],
    [3, 'line 3'],
    [4, 'of the next sandbox'],
  ]);
  expect(book.read('f', 2, 1)).toMatchObject([{ cursor: 3 }]);
  book.forget('f');
  expect(book.read('f', 0, 10)).toEqual([]);
});

test.each(['', 'x', '[]', '{}', line(0), line(1.5), line(1, { level: 'loud' }), line(1, { message: 5 }), '{"seq":'])(
  'a malformed line is left out: %s',
  (text) => {
    const book = createLogBook();
    book.take('f', 'ia', text);
    expect(book.read('f', 0, 10)).toEqual([]);
  },
);

test('a sandbox that writes without end takes bounded memory', () => {
  const book = createLogBook();
  for (let seq = 1; seq <= 3000; seq += 1) book.take('f', 'ia', line(seq, { message: 'x'.repeat(2000) }));
  const kept = book.read('f', 0, 10_000);
  expect(kept.at(-1)?.cursor).toBe(3000);
  expect(kept.reduce((sum, { message }) => sum + message.length, 0)).toBeLessThanOrEqual(512 * 1024);
  expect(kept.length).toBeGreaterThan(10);
});
