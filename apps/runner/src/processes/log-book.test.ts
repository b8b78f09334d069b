import { appendFile, mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { KnownSandbox } from '../registry/table.ts';
import { openTestSeal } from '../testing/test-keys.ts';
import { createLogBook } from './log-book.ts';
import type { LogBook } from './log-book.ts';
import { openLogFolder } from './log-folder.ts';
import type { LogFolder, LogLine } from './log-folder.ts';

const startMs = 1_800_000_000_000;
const seal = openTestSeal();
let directory: string;
let logs: LogFolder;
let book: LogBook;
let nowMs: number;
/** What envd has in its log. */
let ofEnvd: LogLine[];
let failures: unknown[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'soulbox-logs-'));
  [nowMs, ofEnvd, failures] = [startMs, [], []];
  await startRunner();
});
afterEach(async () => await removeTree(directory));

const envd = { logs: (after: number) => Promise.resolve(ofEnvd.filter(({ seq }) => seq > after)) };
const sandbox = {
  record: { state: 'running', tenant: { startedAtMs: startMs } },
  live: { envd },
} as unknown as KnownSandbox;

/** The next runner, after the writes of the one before. */
async function restartRunner(): Promise<void> {
  await logs.settle();
  await startRunner();
}

async function startRunner(): Promise<void> {
  logs = await openLogFolder(directory, seal, (error) => failures.push(error));
  const table = { find: (id: string) => (id === 'a' ? sandbox : undefined) };
  book = createLogBook(table, logs, { now: () => nowMs++ });
}

const entry = (seq: number, message = `envd ${seq}`): LogLine => ({
  ...{ seq, level: 'info', logger: 'init', message, fields: {} },
  timestamp: new Date(startMs + 1000 + seq).toISOString(),
});
const messages = async (): Promise<string[]> => (await book.read('a')).map(({ message }) => message);

test('a log survives the runner, once, with what envd has told meanwhile', async () => {
  book.write('a', 'sandbox created', { templateID: 'base' });
  ofEnvd = [entry(1)];
  expect(await messages()).toEqual(['sandbox created', 'envd 1']);
  await restartRunner();
  nowMs = startMs + 5000;
  book.write('a', 'sandbox paused');
  ofEnvd.push(entry(2));
  expect(await messages()).toEqual(['sandbox created', 'envd 1', 'envd 2', 'sandbox paused']);
  await restartRunner();
  expect((await book.read('a'))[0]).toMatchObject({ logger: 'runner', fields: { templateID: 'base' } });
  expect(await messages()).toHaveLength(4);
});

test('a new envd in the same sandbox is read from its beginning', async () => {
  ofEnvd = [entry(1), entry(2)];
  await book.read('a');
  nowMs = startMs + 60_000;
  ofEnvd = [{ ...entry(1, 'of the new envd'), timestamp: new Date(startMs + 60_000).toISOString() }];
  expect(await messages()).not.toContain('of the new envd');
  book.expectNewEnvd('a');
  expect(await messages()).toEqual(['envd 1', 'envd 2', 'of the new envd']);
});

test('a follower reads each entry once, also those that arrive late, and continues after a restart', async () => {
  const follow = async (cursor: string): Promise<{ readonly said: string[]; readonly cursor: string }> => {
    const arrived = await book.readAfter('a', cursor);
    return { said: arrived.map(({ line }) => line.message), cursor: arrived.at(-1)?.cursor ?? cursor };
  };
  book.write('a', 'sandbox created');
  ofEnvd = [entry(1), entry(2)];
  const first = await follow('');
  expect(first.said).toEqual(['sandbox created', 'envd 1', 'envd 2']);
  nowMs = startMs + 60_000;
  book.write('a', 'sandbox paused');
  const second = await follow(first.cursor);
  expect(second.said).toEqual(['sandbox paused']);
  // What envd wrote before it was frozen.
  ofEnvd.push(entry(3));
  const third = await follow(second.cursor);
  expect(third.said).toEqual(['envd 3']);
  expect((await follow(third.cursor)).said).toEqual([]);
  const inTheMiddle = (await book.readAfter('a', ''))[1]?.cursor ?? '';
  expect((await follow(inTheMiddle)).said).toEqual(['envd 2', 'sandbox paused', 'envd 3']);
  await restartRunner();
  nowMs = startMs + 90_000;
  book.write('a', 'sandbox resumed');
  expect((await follow(third.cursor)).said.sort()).toEqual(['sandbox paused', 'sandbox resumed']);
});

test.each(['x', '-', '1-2-3', 'abcdefgh--1', 'abcdefgh-1e9-1', 'abcdefgh-1-1\n', `abcdefgh-1-${'9'.repeat(400)}`])(
  'the cursor %s is refused',
  async (cursor) => {
    await expect(book.readAfter('a', cursor)).rejects.toMatchObject({ reason: 'bad_request' });
  },
);

test('readers at the same time cause one call to envd', async () => {
  let calls = 0;
  const { logs: own } = envd;
  envd.logs = async (after) => {
    calls += 1;
    return await own(after);
  };
  ofEnvd = [entry(1)];
  const all = await Promise.all(Array.from({ length: 20 }, async () => await book.readAfter('a', '')));
  envd.logs = own;
  expect([calls, ...new Set(all.map(({ length }) => length))]).toEqual([1, 1]);
});

test('the file is unreadable, and belongs to its sandbox', async () => {
  book.write('a', 'a word that is searched');
  await logs.settle();
  const path = join(directory, 'a');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readFile(path, 'utf8')).not.toContain('searched');
  await writeFile(join(directory, 'b'), await readFile(path));
  expect(await logs.fileOf('b').load()).toEqual([]);
  expect(await logs.fileOf('a').load()).toHaveLength(1);
});

test('lines that were cut or altered cost only themselves', async () => {
  book.write('a', 'first');
  await logs.settle();
  await appendFile(join(directory, 'a'), '\n{"formatVersion":3,"sealed":"AAAA');
  book.write('a', 'second');
  await restartRunner();
  expect(await messages()).toEqual(['first', 'second']);
});

test('a hostile envd neither displaces entries of the runner nor forges them', async () => {
  book.write('a', 'sandbox created');
  const hostile = (seq: number, changes: Partial<LogLine>): LogLine => ({ ...entry(seq), ...changes });
  ofEnvd = [
    ...Array.from({ length: 3000 }, (_, n) => hostile(n + 10, { timestamp: '9000-01-01T00:00:00.000Z' })),
    hostile(4000, { timestamp: '+010000-01-01T00:00:00.000Z' }),
    hostile(4001, { fields: { long: 'x'.repeat(300_000) }, message: 'large' }),
    hostile(0, { message: 'as the runner' }),
    hostile(4002, { timestamp: 'never' }),
  ];
  await book.read('a');
  book.write('a', 'sandbox paused');
  const lines = await book.read('a');
  const told = lines.map(({ message }) => message);
  expect(told).toEqual(expect.arrayContaining(['sandbox created', 'sandbox paused', 'large']));
  expect(told).not.toContain('as the runner');
  expect(lines).toHaveLength(1002);
  for (const { timestamp } of lines) expect(timestamp).toMatch(/^2027-01-15T/);
  await restartRunner();
  expect(await messages()).toEqual(expect.arrayContaining(['sandbox created', 'sandbox paused']));
});

test('text of the sandbox neither steers a terminal nor begins a line', async () => {
  const evil = '\u001b[2J\u001b]0;title\u0007ok\r\n2026-01-01 info \u202eforged\u0000\u009b31m';
  ofEnvd = [{ ...entry(1, evil), logger: 'out\nput', fields: { 'a\nb': evil, 'c\u001b': '\u0008' } }];
  const [line] = await book.read('a');
  expect(line?.message).toBe('·[2J·]0;title·ok··2026-01-01 info ·forged··31m');
  expect(line?.logger).toBe('out·put');
  expect(Object.keys(line?.fields ?? {})).toEqual(['a·b', 'c·']);
  // A client prints values in quotation marks.
  expect(JSON.stringify(line?.fields)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]|\\u00/);
});

test('output displaces neither events of envd nor those of the runner', async () => {
  book.write('a', 'sandbox created');
  const output = Array.from({ length: 3000 }, (_, n) => ({ ...entry(n + 2, `line ${n}`), logger: 'output' }));
  ofEnvd = [entry(1), ...output];
  expect((await messages()).slice(0, 3)).toEqual(['sandbox created', 'envd 1', 'line 2000']);
  expect(await messages()).toHaveLength(1002);
});

test('what many readers cause envd to tell is written every few seconds', async () => {
  await logs.fileOf('a').remove();
  for (let seq = 1; seq <= 20; seq++) {
    ofEnvd.push(entry(seq, 'x'.repeat(10_000)));
    await book.read('a');
  }
  await logs.settle();
  const { size } = await stat(join(directory, 'a'));
  expect(size).toBeLessThan(20_000);
  nowMs += 5000;
  await book.read('a');
  await logs.settle();
  expect((await stat(join(directory, 'a'))).size).toBeGreaterThan(size);
});

test('of each source a log has at most 1000 entries, and its file a limited size, whatever envd tells', async () => {
  nowMs = startMs + 60_000;
  for (let round = 0; round < 12; round++) {
    ofEnvd = Array.from({ length: 500 }, (_, n) => entry(round * 500 + n + 1, 'x'.repeat(2000)));
    await book.read('a');
    await logs.settle();
    expect((await stat(join(directory, 'a'))).size).toBeLessThan(4 * 2 ** 20);
  }
  expect((await book.read('a')).length).toBeLessThan(200);
  ofEnvd = Array.from({ length: 5000 }, (_, n) => entry(10_000 + n));
  expect(await book.read('a')).toHaveLength(1000);
  await restartRunner();
  expect(await messages()).toContain('envd 14999');
});

test('the file ends with its sandbox, and files of others are removed', async () => {
  book.write('a', 'first');
  book.write('gone', 'first');
  await book.remove('a');
  book.write('a', 'late');
  await logs.settle();
  expect(await readdir(directory)).toEqual(['gone']);
  await logs.keepOnly(new Set(['a']));
  expect(await readdir(directory)).toEqual([]);
});

test('a disk that takes no more costs only the history', async () => {
  await removeTree(directory);
  book.write('a', 'first');
  await logs.settle();
  expect(failures).toHaveLength(1);
  expect(await messages()).toEqual(['first']);
});
