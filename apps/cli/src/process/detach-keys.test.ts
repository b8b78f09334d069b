import { afterEach, expect, test, vi } from 'vitest';
import { createDetachFilter, parseDetachKeys } from './detach-keys.ts';

afterEach(() => void vi.useRealTimers());

function typed(keys: string, ...pieces: readonly string[]): { passed: string; detached: number } {
  const seen = { passed: '', detached: 0 };
  using filter = createDetachFilter(parseDetachKeys(keys), {
    pass: (bytes) => (seen.passed += Buffer.from(bytes).toString('latin1')),
    detach: () => (seen.detached += 1),
  });
  for (const piece of pieces) filter.type(Buffer.from(piece, 'latin1'));
  return seen;
}

test.each([
  ['ctrl-p,ctrl-q', ['ls\r', '\x10\x11'], 'ls\r', 1],
  ['ctrl-p,ctrl-q', ['a\x10', '\x11b', 'c'], 'a', 1],
  ['ctrl-p,ctrl-q', ['\x10x\x11'], '\x10x\x11', 0],
  ['ctrl-p,ctrl-q', ['\x10\x10\x11'], '\x10', 1],
  ['ctrl-a,d', ['d\x01a\x01d!'], 'd\x01a', 1],
  ['a,a,b', ['aaab'], 'a', 1],
  ['a,b,a,c', ['abababac'], 'abab', 1],
  ['x', ['\x80\xffx'], '\x80\xff', 1],
  ['none', ['\x10\x11'], '\x10\x11', 0],
])('with %s, of %j are passed %j', (keys, pieces, passed, detached) => {
  expect(typed(keys, ...pieces)).toEqual({ passed, detached });
});

test('the first key alone arrives after a moment, and then begins nothing', () => {
  vi.useFakeTimers();
  let passed = '';
  let detached = 0;
  using filter = createDetachFilter(parseDetachKeys(undefined), {
    pass: (bytes) => (passed += Buffer.from(bytes).toString('latin1')),
    detach: () => (detached += 1),
  });
  filter.type(Buffer.from('\x10'));
  expect(passed).toBe('');
  vi.advanceTimersByTime(500);
  expect(passed).toBe('\x10');
  filter.type(Buffer.from('\x11'));
  expect([passed, detached]).toEqual(['\x10\x11', 0]);
});

test.each(['', 'ctrl-', 'ctrl-1', 'CTRL-P', 'ab', 'a,,b', 'ctrl-p ctrl-q', 'ü', '1,2,3,4,5,6,7,8,9'])(
  'the keys %j are refused',
  (text) => {
    expect(() => parseDetachKeys(text)).toThrow('--detach-keys must be');
  },
);
