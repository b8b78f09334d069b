import { beforeEach, expect, test } from 'vitest';
import { createLifeLog } from '../life-log.ts';
import type { LifeLog, LifeLogEntry } from '../life-log.ts';
import { createLoggedOutput, createOutputAllowance } from './logged-output.ts';
import type { LoggedOutput } from './logged-output.ts';

let nowMs: number;
let log: LifeLog;
let output: LoggedOutput;
beforeEach(() => {
  nowMs = 0;
  log = createLifeLog(() => nowMs);
  output = createLoggedOutput(
    log,
    createOutputAllowance(() => nowMs),
    { process: 'p-1', stream: 'stdout' },
  );
});
const take = (text: string): void => output.take(Buffer.from(text));
const entries = (): LifeLogEntry[] => log.entriesAfter(0).filter(({ logger }) => logger === 'output');
const lines = (): string[] => entries().map(({ message }) => message);

test('lines are logged when they are complete, the last one at the end, and empty ones not at all', () => {
  take('fir');
  expect(lines()).toEqual([]);
  take('st\r\n\n\nsecond\nthi');
  expect(lines()).toEqual(['first', 'second']);
  take('rd');
  output.end();
  expect(lines()).toEqual(['first', 'second', 'third']);
  expect(entries()[0]?.fields).toEqual({ process: 'p-1', stream: 'stdout' });
});

test('a character that arrives in parts is whole, and bytes that are no text are replaced', () => {
  const bytes = Buffer.from('ä€😀\n');
  for (const byte of bytes) output.take(Buffer.of(byte));
  output.take(Buffer.from([0xff, 0x61, 0x0a]));
  expect(lines()).toEqual(['ä€😀', '\uFFFDa']);
});

test('a long line is cut, also in the middle of a character, and its rest is not a line', () => {
  take(`a${'€'.repeat(5000)}`);
  take(`${'€'.repeat(5000)}\nnext\n`);
  const [cut = '', ...rest] = lines();
  expect(cut).toMatch(/^a€+…$/);
  expect(Buffer.byteLength(cut)).toBeLessThan(2100);
  expect(rest).toEqual(['next']);
});

test('too much output in a short time is left out, and the log says how much', () => {
  const line = `${'x'.repeat(999)}\n`;
  for (let n = 0; n < 1000; n += 1) take(line);
  const logged = lines().length;
  expect(logged).toBeGreaterThan(50);
  expect(logged).toBeLessThan(200);
  nowMs += 1000;
  take('rest of the last line\nafter a second\n');
  const [told, after] = entries().slice(-2);
  expect(told).toMatchObject({ level: 'warn', fields: { process: 'p-1' } });
  expect(Number(told?.fields['bytes'])).toBeGreaterThan(800_000);
  expect(after?.message).toBe('after a second');
});

test('a second of output without an end costs neither memory nor much time', () => {
  const block = Buffer.alloc(64 * 1024, '\n');
  const before = process.threadCpuUsage();
  for (let n = 0; n < 2000; n += 1) output.take(block);
  expect(process.threadCpuUsage(before).user / 1000).toBeLessThan(1000);
  output.end();
  expect(entries()).toMatchObject([{ level: 'warn' }]);
});

test('output displaces no events of envd', () => {
  log.record('info', 'process', 'Process started');
  for (let n = 0; n < 5000; n += 1) {
    nowMs += 100;
    take(`line ${n}\n`);
  }
  expect(log.entriesAfter(0)[0]?.message).toBe('Process started');
  expect(lines()).toHaveLength(1000);
  expect(lines().at(-1)).toBe('line 4999');
});
