import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { removeTree } from '@soulbox/base';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { userOf } from './users.ts';

interface Told {
  readonly calls: Readonly<Record<string, number | string>>;
  readonly connect: readonly string[];
  readonly program: string;
  readonly root: readonly string[];
  readonly threadWorks: boolean;
}

const id = userOf(14, 'gateway');
const program = join(import.meta.dirname, 'testing/cell-program.ts');
const launcher = join(import.meta.dirname, 'launch.ts');
let root: string;
let told: Told;
/** /proc/PID/status of each thread of the cell. */
let threads: string[];
/** What the open descriptors of the cell refer to. */
let opened: string[];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'cell-'));
  chmodSync(root, 0o755);
  writeFileSync(join(root, 'only-this'), '');
  // io_uring would bypass the filter, so the process is started without it, as the gateway is.
  const cell = JSON.stringify({ id, root });
  const child = spawn(process.execPath, [launcher, '1', program, cell], {
    stdio: ['pipe', 'pipe', 'inherit', 'ipc'],
    cwd: '/',
  });
  const line = await Promise.race([
    once(createInterface({ input: child.stdout ?? process.stdin }), 'line'),
    once(child, 'exit'),
  ]);
  told = JSON.parse(String(line[0])) as Told;
  const tasks = `/proc/${child.pid}/task`;
  threads = readdirSync(tasks).map((thread) => readFileSync(join(tasks, thread, 'status'), 'utf8'));
  const descriptors = `/proc/${child.pid}/fd`;
  opened = readdirSync(descriptors).map((fd) => readlinkSync(join(descriptors, fd)));
  child.kill('SIGKILL');
  await once(child, 'exit');
});
afterAll(async () => await removeTree(root));

test('every denied system call fails and has no effect', () => {
  expect(Object.keys(told.calls).length).toBeGreaterThan(50);
  for (const [name, outcome] of Object.entries(told.calls))
    expect([name, outcome]).toEqual([name, constants.errno.EPERM]);
});

test('the process has no ring of io_uring, not even one of the program that started it as root', () => {
  expect(opened.length).toBeGreaterThan(3);
  expect(opened.filter((target) => target.includes('io_uring'))).toEqual([]);
});

test('the process can neither start a program nor open a connection of its own', () => {
  expect(told.program).toBe('EPERM');
  expect(told.connect).toEqual(['EPERM', 'EPERM']);
});

test('the process sees no files outside the folder of the cell', () => {
  expect(told.root).toEqual(['only-this']);
});

test('threads can still be started', () => {
  expect(told.threadWorks).toBe(true);
});

test('each thread has the user, no supplementary group, no capability and the filter', () => {
  expect(threads.length).toBeGreaterThan(4);
  for (const status of threads) {
    const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*$`, 'm').exec(status)?.[1] ?? '';
    expect(field('Uid').split(/\s+/)).toEqual(Array.from({ length: 4 }, () => String(id)));
    expect(field('Gid').split(/\s+/)).toEqual(Array.from({ length: 4 }, () => String(id)));
    expect(field('Groups')).toBe('');
    for (const set of ['CapPrm', 'CapEff', 'CapAmb']) expect(field(set)).toBe('0000000000000000');
    expect(field('NoNewPrivs')).toBe('1');
    expect(field('Seccomp')).toBe('2');
  }
});
