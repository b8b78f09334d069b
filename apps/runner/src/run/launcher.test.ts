import { spawn } from 'node:child_process';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { afterAll, expect, test } from 'vitest';
import { launched, parseReport } from './launcher.ts';
import type { LaunchReport } from './launcher.ts';

const directory = await mkdtemp(join(tmpdir(), 'soulbox-launcher-'));
afterAll(async () => await removeTree(directory));
let count = 0;

interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly report: LaunchReport | undefined;
}

/** Runs the launcher as envd does: as the leader of a session. */
async function launch(
  command: readonly [string, ...string[]],
  { timeoutMs = 0, memoryMb = 0, input = '' } = {},
): Promise<Ran> {
  const reportPath = join(directory, String(count++));
  const program = launched(command, reportPath, { timeoutMs, memoryMb });
  const child = spawn(program.command, [...program.args], { detached: true, stdio: 'pipe' });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (bytes: Buffer) => (output.stdout += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (output.stderr += bytes.toString()));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.on('close', (...end) => resolve(end));
  });
  const text = await readFile(reportPath, 'utf8').catch(() => '');
  return { code, signal, ...output, report: parseReport(text) };
}

test('a program gets its arguments and input, and its output and exit code are passed on', async () => {
  const ran = await launch(['sh', '-c', 'cat; echo "$1" >&2; exit 7', 'sh', 'a  b;$(id)'], { input: 'hello\n' });
  expect(ran).toMatchObject({ code: 7, signal: null, stdout: 'hello\n', stderr: 'a  b;$(id)\n' });
  expect(ran.report).toMatchObject({ errno: 0, timedOut: false, memoryExceeded: false });
});

test('the peak memory is that of the program, even if it ends at once', async () => {
  const small = (await launch(['true'])).report?.peakBytes ?? 0;
  const large = (await launch(['perl', '-e', '$x = "a" x (64 << 20)'])).report?.peakBytes ?? 0;
  expect(small).toBeGreaterThan(100_000);
  expect(small).toBeLessThan(12e6);
  expect(large).toBeGreaterThan(64e6);
  expect(large).toBeLessThan(200e6);
});

test('death by a signal is passed on as a signal', async () => {
  expect(await launch(['sh', '-c', 'kill -SEGV $$'])).toMatchObject({ signal: 'SIGSEGV' });
  expect(await launch(['sh', '-c', 'kill -TERM $$'])).toMatchObject({ signal: 'SIGTERM' });
});

test('a missing program is reported by its errno', async () => {
  expect((await launch(['soulbox-no-such-program'])).report?.errno).toBe(2);
});

test('at the time limit the program and its children are killed', async () => {
  const startedAt = Date.now();
  const ran = await launch(['sh', '-c', 'sleep 61 & sleep 62'], { timeoutMs: 300 });
  expect(Date.now() - startedAt).toBeLessThan(5000);
  expect(ran).toMatchObject({ signal: 'SIGKILL', report: { timedOut: true } });
});

test('a program that leaves the session is still killed at its time limit', async () => {
  const ran = await launch(['setsid', 'sleep', '63'], { timeoutMs: 300 });
  expect(ran.report).toMatchObject({ timedOut: true });
});

test('processes that a program leaves behind are killed when it ends', async () => {
  const path = join(directory, 'left-behind');
  const ran = await launch(['sh', '-c', 'sleep 64 & echo $! > "$1"; exit 0', 'sh', path]);
  expect(ran.code).toBe(0);
  const pid = (await readFile(path, 'utf8')).trim();
  await sleep(50);
  const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => 'gone');
  expect(state).toMatch(/^gone$|\) Z /);
});

test('above the memory limit all its processes are killed, whichever of them is large', async () => {
  const ran = await launch(['sh', '-c', `perl -e '$x = "a" x (300 << 20); sleep 9' & wait`], { memoryMb: 64 });
  expect(ran).toMatchObject({ signal: 'SIGKILL', report: { memoryExceeded: true } });
});

test('a report never overwrites an existing file', async () => {
  await writeFile(join(directory, String(count)), 'kept');
  const taken = count;
  const ran = await launch(['true']);
  expect(ran.code).not.toBe(0);
  expect(await readFile(join(directory, String(taken)), 'utf8')).toBe('kept');
});

test.each([
  '',
  'errno 0\n',
  'errno 0\ntimed_out 2\nmemory_exceeded 0\npeak_bytes 1\n',
  'errno 0\ntimed_out 0\nmemory_exceeded 0\npeak_bytes 1e9\n',
  'errno 0\ntimed_out 0\nmemory_exceeded 0\npeak_bytes 99999999999999999\n',
  'errno 0\ntimed_out 0\nmemory_exceeded 0\npeak_bytes 1\nmore',
])('%j is not a report', (text) => {
  expect(parseReport(text)).toBeUndefined();
});
