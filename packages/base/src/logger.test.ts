import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createLogger } from './logger.ts';
import { removeTree } from './remove-tree.ts';
import { run } from './run.ts';

let disk: string;
const ballast = (): string => join(disk, 'ballast');
const logFile = (): string => join(disk, 'server.log');

/** A real file system of 1 MiB. */
beforeEach(async () => {
  disk = await mkdtemp(join(tmpdir(), 'soulbox-log-'));
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]);
});
afterEach(async () => {
  await run('umount', ['--lazy', '--', disk]);
  await removeTree(disk);
});

const fill = async (): Promise<void> =>
  await expect(writeFile(ballast(), Buffer.alloc(2 ** 21, 1))).rejects.toMatchObject({ code: 'ENOSPC' });

interface Line {
  readonly msg: string;
  readonly number?: number;
  readonly lines?: number;
}
const readLines = async (suffix = ''): Promise<Line[]> =>
  (await readFile(`${logFile()}${suffix}`, 'utf8'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);

const readAll = async (suffixes: readonly string[]): Promise<Line[]> =>
  (await Promise.all(suffixes.map(async (suffix) => await readLines(suffix)))).flat();

it('survives a full disk: lines wait, then are dropped and counted, and the count is logged once there is room', async () => {
  const logger = createLogger({ level: 'info', file: logFile() });
  logger.info({ number: -1 }, 'before');
  await expect.poll(async () => (await readLines()).length).toBe(1);
  await fill();
  const text = 'x'.repeat(1000);
  for (let number = 0; number < 6000; number += 1) logger.info({ number, text }, 'while it is full');
  await expect.poll(() => logger.droppedLines()).toBeGreaterThan(1000);
  const dropped = logger.droppedLines();
  await sleep(1500);

  await rm(ballast());
  await run('mount', ['-o', 'remount,size=32m', disk]);
  await expect.poll(async () => (await readLines()).at(-1), { timeout: 5000 }).toMatchObject({ lines: dropped });
  const lines = await readLines();
  expect(lines.filter(({ msg }) => msg === 'while it is full').map(({ number }) => number)).toEqual(
    Array.from({ length: 6000 - dropped }, (_, number) => number),
  );
  logger.info({}, 'afterwards');
  await expect.poll(async () => (await readLines()).at(-1)?.msg).toBe('afterwards');
  expect(logger.droppedLines()).toBe(dropped);
});

it('rotates a large file between two lines and keeps the requested number of older files', async () => {
  await run('mount', ['-o', 'remount,size=32m', disk]);
  const logger = createLogger({ level: 'info', file: logFile(), limits: { maxBytes: 100_000, keptFiles: 2 } });
  const text = 'x'.repeat(1000);
  for (let number = 0; number < 1000; number += 1) {
    logger.info({ number, text }, 'line');
    if (number % 50 === 49) await sleep(5);
  }
  await expect.poll(async () => (await readFile(logFile(), 'utf8')).length).toBeLessThan(200_000);
  await expect.poll(async () => (await readLines()).at(-1)?.number).toBe(999);
  expect((await readdir(disk)).sort()).toEqual(['server.log', 'server.log.1', 'server.log.2']);
  const numbers = (await readAll(['.2', '.1', ''])).map(({ number }) => number ?? -1);
  expect(numbers[0]).toBeGreaterThan(0);
  expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index));
  expect((await stat(`${logFile()}.1`)).mode & 0o777).toBe(0o600);
  expect(logger.droppedLines()).toBe(0);
});

it('reopens its file after somebody else has moved it away', async () => {
  const logger = createLogger({ level: 'info', file: logFile() });
  logger.info({ number: 1 }, 'line');
  await expect.poll(async () => (await readLines()).length).toBe(1);
  await rename(logFile(), join(disk, 'moved'));
  logger.info({ number: 2 }, 'line');
  await expect.poll(async () => await readFile(join(disk, 'moved'), 'utf8')).toContain('"number":2');
  logger.reopen();
  logger.info({ number: 3 }, 'line');
  await expect.poll(async () => (await readLines()).at(-1)?.number).toBe(3);
  expect(await readFile(join(disk, 'moved'), 'utf8')).not.toContain('"number":3');
});

it('continues with the old file if a new one cannot be opened', async () => {
  const logger = createLogger({ level: 'info', file: logFile(), limits: { maxBytes: 1000, keptFiles: 1 } });
  await rename(logFile(), join(disk, 'moved'));
  await mkdir(logFile());
  logger.reopen();
  logger.info({ number: 1, text: 'x'.repeat(2000) }, 'line');
  logger.info({ number: 2 }, 'line');
  await expect.poll(async () => await readFile(join(disk, 'moved'), 'utf8')).toContain('"number":2');
});

it('rotates the file on a full disk, too, and so makes room', async () => {
  const logger = createLogger({ level: 'info', file: logFile(), limits: { maxBytes: 300_000, keptFiles: 1 } });
  const text = 'x'.repeat(1000);
  for (let number = 0; number < 3000; number += 1) {
    logger.info({ number, text }, 'line');
    if (number % 50 === 49) await sleep(5);
  }
  // Two files of 300 kB fit into the megabyte; three megabytes of lines do not.
  await expect.poll(async () => (await readLines()).at(-1)?.number, { timeout: 5000 }).toBe(2999);
  expect(logger.droppedLines()).toBe(0);
});

it('does not make a process exit with an error because the last lines do not fit', async () => {
  await writeFile(logFile(), '');
  await fill();
  const program = `
    import { createLogger } from ${JSON.stringify(join(import.meta.dirname, 'logger.ts'))};
    const logger = createLogger({ level: 'info', file: process.argv[1] });
    logger.info({ text: 'x'.repeat(100_000) }, 'too long');
    setTimeout(() => process.exit(0), 100);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, logFile()], { stdio: 'inherit' });
  expect(await once(child, 'exit')).toEqual([0, null]);
});

it('writes each waiting line once when the process exits', async () => {
  const program = `
    import { createLogger } from ${JSON.stringify(join(import.meta.dirname, 'logger.ts'))};
    const logger = createLogger({ level: 'info', file: process.argv[1] });
    for (let number = 0; number < 500; number += 1) logger.info({ number }, 'line');
    setImmediate(() => process.exit(0));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, logFile()], { stdio: 'inherit' });
  expect(await once(child, 'exit')).toEqual([0, null]);
  const numbers = (await readLines()).map(({ number }) => number ?? -1);
  expect(numbers).toEqual([...new Set(numbers)]);
  // The first one is in flight at the exit. The kernel may write it last, or not at all.
  expect(numbers.filter((number) => number > 0)).toEqual(Array.from({ length: 499 }, (_, index) => index + 1));
});
