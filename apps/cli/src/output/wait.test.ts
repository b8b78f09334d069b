import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openWait } from './wait.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function open(options: { isTTY?: boolean; isNever?: boolean; isTold?: boolean; text?: string; columns?: number } = {}) {
  const { isTTY = true, isNever = false, columns = 80, text = 'Pausing x', ...rest } = options;
  const texts: string[] = [];
  const write = (piece: string | Uint8Array): boolean => texts.push(String(piece)) > 0;
  const wait = openWait(text, { ...rest, isNever, output: { isTTY, columns, write } });
  return { wait, texts, plain: () => texts.map((piece) => stripVTControlCharacters(piece).replace('\r', '')) };
}

test('a wait of less than a second is not shown', () => {
  const { wait, texts } = open();
  vi.advanceTimersByTime(900);
  wait[Symbol.dispose]();
  vi.advanceTimersByTime(5000);
  expect(texts).toEqual([]);
});

test('at a terminal it is one line with a clock, lines go above it, and the end clears it', () => {
  const { wait, texts, plain } = open();
  wait.print('early');
  vi.advanceTimersByTime(1500);
  wait.print('late');
  wait[Symbol.dispose]();
  vi.advanceTimersByTime(5000);
  expect(plain()).toEqual(['early\n', 'Pausing x 1 s', 'Pausing x 2 s', 'late\n', 'Pausing x 2 s', '']);
  expect(texts.at(-1)).toBe('\r\x1b[2K');
});

test('the line fits the window, and control characters do not reach the terminal', () => {
  const { wait, texts, plain } = open({ columns: 20, text: `Pausing \u0007\u001b[2Jx${'y'.repeat(100)}` });
  vi.advanceTimersByTime(1000);
  expect(plain()[0]).toHaveLength(19);
  expect(texts.join('')).not.toContain('\u0007');
  wait[Symbol.dispose]();
});

test.each([
  [{ isTTY: false }, ['Pausing x\n', 'more\n']],
  [{ isTTY: false, isTold: false }, ['more\n']],
  [{ isNever: true }, ['more\n']],
  [{ isTTY: false, isNever: true }, ['more\n']],
])('with %j it is a line, or nothing', (options, lines) => {
  const { wait, texts } = open(options);
  vi.advanceTimersByTime(10_000);
  wait.print('more');
  wait[Symbol.dispose]();
  expect(texts).toEqual(lines);
});
