/** @module-tag violation */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createLogBudget } from './log-budget.ts';
import type { LogBudget, LogLimits } from './log-budget.ts';
import type { LogPart, LogReader, LogStart } from './log-reader.ts';
import { openLogReader } from './log-reader.ts';
import { blockBytes } from './block-list.ts';
import { createOutputLog } from './output-log.ts';
import type { OutputLog, OutputLogOptions } from './output-log.ts';

let directory: string;
let failures: unknown[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'soulbox-log-'));
  failures = [];
});
afterEach(async () => await rm(directory, { recursive: true, force: true }));

const mebi = 1024 * 1024;
const plenty: LogLimits = { memoryBytes: 16 * mebi, diskBytes: 64 * mebi };

function createLog(options: Partial<OutputLogOptions> & { name?: string } = {}): OutputLog {
  return createOutputLog({
    path: join(directory, 'logs', options.name ?? 'one'),
    maxBytes: 4 * mebi,
    policy: 'drop-oldest',
    usesDisk: true,
    budget: createLogBudget(plenty),
    onFull: () => undefined,
    onDiskFailure: (error) => failures.push(error),
    ...options,
  });
}

/** A budget that tells what it has given. */
function createWatchedBudget(): { budget: LogBudget; used: { memory: number; disk: number } } {
  const inner = createLogBudget(plenty);
  const used = { memory: 0, disk: 0 };
  const budget: LogBudget = {
    ...inner,
    useMemory(log, changeBytes) {
      used.memory += changeBytes;
      inner.useMemory(log, changeBytes);
    },
    takeDisk(changeBytes) {
      used.disk += changeBytes;
      return inner.takeDisk(changeBytes);
    },
    giveDisk(bytes) {
      used.disk -= bytes;
      inner.giveDisk(bytes);
    },
  };
  return { budget, used };
}

/** Bytes by which a position can be recognized. */
function pattern(from: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let index = 0; index < length; index += 1) bytes[index] = ((from + index) * 2_654_435_761) >>> 24;
  return bytes;
}

async function fill(log: OutputLog, bytes: number, piece = 64 * 1024): Promise<void> {
  for (let left = bytes; left > 0; left -= piece) {
    await log.ready();
    log.append(1, pattern(log.end, Math.min(piece, left)));
  }
}

async function readAll(reader: LogReader, maxBytes = 128 * 1024): Promise<LogPart[]> {
  const parts: LogPart[] = [];
  for (;;) {
    const next = await reader.read(maxBytes);
    if (next.length === 0) return parts;
    parts.push(...next);
  }
}

const bytesOf = (parts: readonly LogPart[]): Buffer =>
  Buffer.concat(parts.map((part) => (part.kind === 'output' ? part.bytes : new Uint8Array())));
const from = (position: number): LogStart => ({ kind: 'position', position });
const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function files(): Promise<string[]> {
  return await readdir(join(directory, 'logs')).catch(() => []);
}

describe('reading', () => {
  test('short output stays in memory', async () => {
    const log = createLog();
    log.append(1, Buffer.from('out'));
    log.append(2, Buffer.from('errors'));
    log.close();
    const reader = await openLogReader(log, from(1));
    expect(await readAll(reader)).toEqual([
      { kind: 'output', position: 1, stream: 1, streamPosition: 1, bytes: Buffer.from('ut') },
      { kind: 'output', position: 3, stream: 2, streamPosition: 0, bytes: Buffer.from('errors') },
    ]);
    expect(await files()).toEqual([]);
  });

  test('long output is in a file that only root may read, and its folder too', async () => {
    const log = createLog();
    await fill(log, 3 * mebi);
    expect((await stat(join(directory, 'logs'))).mode & 0o777).toBe(0o700);
    expect((await stat(join(directory, 'logs/one'))).mode & 0o777).toBe(0o600);
    const parts = await readAll(await openLogReader(log, from(12_345)));
    expect(hash(bytesOf(parts))).toBe(hash(pattern(12_345, 3 * mebi - 12_345)));
    log.release();
    await sleep(20);
    expect(await files()).toEqual([]);
  });

  test('a position beyond the end is out of range, and the end is not', async () => {
    const log = createLog();
    log.append(1, Buffer.from('abc'));
    await expect(openLogReader(log, from(4))).rejects.toMatchObject({ reason: 'position_out_of_range' });
    const reader = await openLogReader(log, from(3));
    expect(await readAll(reader)).toEqual([]);
    log.append(1, Buffer.from('def'));
    expect(bytesOf(await readAll(reader)).toString()).toBe('def');
  });

  test.each([
    [{ kind: 'oldest' }, 'abcdef'],
    [{ kind: 'last', bytes: 2 }, 'ef'],
    [{ kind: 'last', bytes: 100 }, 'abcdef'],
    [{ kind: 'newest' }, ''],
  ] as const)('from %o', async (start, expected) => {
    const log = createLog();
    log.append(3, Buffer.from('abc'));
    log.append(3, Buffer.from('def'));
    expect(bytesOf(await readAll(await openLogReader(log, start))).toString()).toBe(expected);
  });

  test('whatever was written, spilled and read in whichever pieces, a reader gets every byte of every stream', async () => {
    let runs = 0;
    const step = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({ stream: fc.constantFrom(1, 2, 3), length: fc.integer({ min: 1, max: 70_000 }) }),
      },
      { weight: 8, arbitrary: fc.record({ stream: fc.constantFrom(1, 2), length: fc.integer({ min: 1, max: 9 }) }) },
      { weight: 2, arbitrary: fc.constant('spill' as const) },
      { weight: 4, arbitrary: fc.record({ read: fc.integer({ min: 1, max: 200_000 }) }) },
      { weight: 3, arbitrary: fc.record({ attach: fc.double({ min: 0, max: 1, noNaN: true }) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        runs += 1;
        const log = createLog({ name: `run-${runs}` });
        const readers: { reader: LogReader; start: number; parts: LogPart[] }[] = [];
        for (const each of steps) {
          if (each === 'spill') {
            log.spill();
            await sleep(1);
          } else if ('read' in each) {
            for (const { reader, parts } of readers) parts.push(...(await reader.read(each.read)));
          } else if ('attach' in each) {
            const start = Math.floor(each.attach * log.end);
            readers.push({ reader: await openLogReader(log, from(start)), start, parts: [] });
          } else {
            await log.ready();
            log.append(each.stream, pattern(log.end, each.length));
          }
        }
        const whole = pattern(0, log.end);
        for (const { reader, start, parts } of readers) {
          parts.push(...(await readAll(reader)));
          expect(hash(bytesOf(parts))).toBe(hash(whole.subarray(start)));
          checkPositions(parts, start);
        }
        log.release();
      }),
      { numRuns: 30 },
    );
  });
});

/** Positions follow each other, in the log and in each stream. */
function checkPositions(parts: readonly LogPart[], start: number): void {
  let position = start;
  const streamPositions = new Map<number, number>();
  for (const part of parts) {
    if (part.kind === 'gap') throw new Error('There is no gap.');
    expect(part.position).toBe(position);
    expect(part.streamPosition).toBe(streamPositions.get(part.stream) ?? part.streamPosition);
    position += part.bytes.length;
    streamPositions.set(part.stream, part.streamPosition + part.bytes.length);
  }
}

describe('a full log', () => {
  test('drops the oldest, and each reader that needed it gets the gap', async () => {
    const log = createLog({ maxBytes: mebi });
    const slow = await openLogReader(log, from(0));
    await fill(log, 8 * mebi);
    expect(log.end - log.oldest).toBeGreaterThanOrEqual(mebi - 1000);
    expect(log.end - log.oldest).toBeLessThan(1.2 * mebi);
    const [gap, ...parts] = await readAll(slow);
    expect(gap).toEqual({ kind: 'gap', from: 0, to: log.oldest });
    expect(hash(bytesOf(parts))).toBe(hash(pattern(log.oldest, log.end - log.oldest)));
    const [late] = await readAll(await openLogReader(log, from(5)));
    expect(late).toEqual({ kind: 'gap', from: 5, to: log.oldest });
    expect((await stat(join(directory, 'logs/one'))).size).toBeLessThanOrEqual(2 * mebi);
  });

  test('blocks until the output is acknowledged, and nothing is lost', async () => {
    const log = createLog({ maxBytes: 100_000, policy: 'block' });
    const reader = await openLogReader(log, from(0));
    const filling = fill(log, 4 * mebi, 10_000);
    let taken = Buffer.alloc(0);
    await sleep(20);
    expect(log.end).toBeLessThan(120_000);
    while (taken.length < 4 * mebi) {
      taken = Buffer.concat([taken, bytesOf(await readAll(reader))]);
      expect(log.end - log.acknowledged).toBeLessThan(120_000);
      log.acknowledge(reader.position);
      await sleep(0);
    }
    await filling;
    expect(hash(taken)).toBe(hash(pattern(0, 4 * mebi)));
  });

  test('that blocks does not wait when everything was acknowledged', async () => {
    const log = createLog({ maxBytes: 400_000, policy: 'block' });
    await fill(log, 390_000, 10_000);
    log.acknowledge(log.end);
    await fill(log, 390_000, 10_000);
    log.acknowledge(log.end);
    await fill(log, 390_000, 10_000);
    expect(log.end).toBe(1_170_000);
  });

  test('fails once', async () => {
    let full = 0;
    const log = createLog({ maxBytes: 100_000, policy: 'fail', onFull: () => (full += 1) });
    await fill(log, 90_000, 10_000);
    log.acknowledge(50_000);
    await fill(log, 50_000, 10_000);
    expect(full).toBe(0);
    await fill(log, 50_000, 10_000);
    await fill(log, 50_000, 10_000);
    expect(full).toBe(1);
    expect(log.end).toBeLessThan(200_000);
  });

  test('an acknowledgement beyond the end is refused, and a lower one has no effect', () => {
    const log = createLog();
    log.append(1, Buffer.from('abc'));
    log.acknowledge(3);
    log.acknowledge(1);
    expect(log.acknowledged).toBe(3);
    expect(() => log.acknowledge(4)).toThrow(/beyond the end/);
  });
});

describe('a disk that refuses', () => {
  /** A file stands where the folder should be. */
  const breakDisk = async (): Promise<void> => await writeFile(join(directory, 'logs'), '');

  test('the newest output is kept in memory, with a gap', async () => {
    await breakDisk();
    const log = createLog();
    await fill(log, 4 * mebi);
    await sleep(5);
    await fill(log, 4 * mebi);
    expect(failures.length).toBeGreaterThan(0);
    const [gap, ...parts] = await readAll(await openLogReader(log, from(0)));
    expect(gap?.kind).toBe('gap');
    expect(hash(bytesOf(parts))).toBe(hash(pattern(log.oldest, log.end - log.oldest)));
    expect(log.end - log.oldest).toBeLessThan(1.3 * mebi);
    log.release();
  });

  test('a log that blocks waits, and continues when there is room', async () => {
    await breakDisk();
    const log = createLog({ policy: 'block', maxBytes: 8 * mebi });
    let isFilled = false;
    const filling = fill(log, 4 * mebi).then(() => (isFilled = true));
    await sleep(50);
    expect(isFilled).toBe(false);
    await unlink(join(directory, 'logs'));
    await filling;
    const parts = await readAll(await openLogReader(log, from(0)));
    expect(hash(bytesOf(parts))).toBe(hash(pattern(0, 4 * mebi)));
    log.release();
  });

  test('takes no room of the budget for what was not written', async () => {
    const { budget, used } = createWatchedBudget();
    const log = createLog({ budget });
    await fill(log, mebi);
    await vi.waitFor(async () => expect((await stat(join(directory, 'logs/one'))).size).toBe(used.disk));
    await sleep(20);
    const before = used.disk;
    // envd does not follow links.
    await unlink(join(directory, 'logs/one'));
    await symlink('/dev/null', join(directory, 'logs/one'));
    await fill(log, 2 * mebi);
    await vi.waitFor(() => expect(failures.length).toBeGreaterThan(0));
    expect(used.disk).toBe(before);
    log.release();
    expect(used).toEqual({ memory: 0, disk: 0 });
  });

  test.each([
    ['deleted', async (path: string) => await unlink(path)],
    ['overwritten', async (path: string) => await writeFile(path, Buffer.alloc(4 * mebi))],
    ['cut', async (path: string) => await writeFile(path, 'x')],
  ])('what was in a %s file is a gap', async (_name, damage) => {
    const log = createLog();
    await fill(log, 2 * mebi);
    await sleep(20);
    await damage(join(directory, 'logs/one'));
    const parts = await readAll(await openLogReader(log, from(0)));
    expect(parts[0]?.kind).toBe('gap');
    const last = parts.at(-1);
    expect(last?.kind === 'output' && last.position + last.bytes.length).toBe(log.end);
    await fill(log, 2 * mebi);
    expect(bytesOf(await readAll(await openLogReader(log, { kind: 'last', bytes: 100 })))).toHaveLength(100);
    log.release();
  });
});

describe('all logs together', () => {
  const openMany = (count: number, budget: LogBudget): OutputLog[] =>
    Array.from({ length: count }, (_, index) => createLog({ name: String(index), budget, maxBytes: mebi }));

  test('spill to the disk when they use too much memory, least recently used first', async () => {
    const logs = openMany(8, createLogBudget({ memoryBytes: mebi, diskBytes: 64 * mebi }));
    for (const log of logs) await fill(log, 256 * 1024);
    await vi.waitFor(async () => expect((await files()).sort().slice(0, 4)).toEqual(['0', '1', '2', '3']));
    expect((await files()).length).toBeLessThan(7);
    for (const log of logs)
      expect(hash(bytesOf(await readAll(await openLogReader(log, from(0)))))).toBe(hash(pattern(0, 256 * 1024)));
    for (const log of logs) log.release();
  });

  test('count the buffer that a log keeps for its next block', async () => {
    const { budget, used } = createWatchedBudget();
    const log = createLog({ budget, maxBytes: mebi, usesDisk: false });
    await fill(log, 4 * mebi);
    const kept = Math.ceil((log.endPlace - (log.firstBlock?.place ?? 0)) / blockBytes);
    expect(used.memory).toBe((kept + 1) * blockBytes);
    log.spill();
    expect(used.memory).toBe(blockBytes);
    await fill(log, 4 * mebi);
    log.close();
    expect(used.memory).toBe(kept * blockBytes);
    log.release();
    expect(used.memory).toBe(0);
  });

  test('use the room of ended processes first, then lose their oldest output', async () => {
    const logs = openMany(6, createLogBudget({ ...plenty, diskBytes: 4.5 * mebi }));
    for (const [name, log] of logs.entries()) {
      await fill(log, mebi);
      log.spill();
      await vi.waitFor(async () => expect((await stat(join(directory, `logs/${name}`))).size).toBeGreaterThan(mebi));
      log.close();
    }
    expect(logs.map((log) => log.oldest === log.end)).toEqual([true, true, false, false, false, false]);
    for (const log of logs) log.release();
  });
});
