import { readdirSync, readFileSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { Worker } from 'node:worker_threads';
import { spawnSync } from 'node:child_process';
import { libcFunction, lastErrno } from '@soulbox/linux/libc';
import { dropPrivileges } from '../drop-privileges.ts';
import { deniedCalls, systemCallNumber } from '../system-call-filter.ts';

// Drops its privileges, then tries to use them. Started by cell.test.ts; its argument is the cell.
const syscall = libcFunction<[number: number, a: number, b: number, c: number, d: number, e: number]>(
  'long syscall(long number, long a, long b, long c, long d, long e)',
);
const status = readFileSync('/proc/self/status', 'utf8');
// Read again later, when no path leads to /proc any more.
const descriptors = readdirSync('/proc/self/fd').length;
dropPrivileges(JSON.parse(process.argv[2] ?? '') as { id: number; root: string });

const calls = Object.fromEntries(
  deniedCalls
    .filter((name) => systemCallNumber(name) >= 0)
    .map((name) => [name, syscall(systemCallNumber(name), -1, -1, -1, -1, -1) === -1 ? lastErrno() : 'done']),
);
const errorOf = async (host: string): Promise<string | undefined> =>
  await new Promise((resolve) => {
    const socket = connect({ host, port: 1 });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    socket.once('connect', () => resolve('connected'));
  });
const thread = new Worker('require("node:worker_threads").parentPort.postMessage(1)', { eval: true });
const threadWorks = await new Promise<boolean>((resolve) => {
  thread.once('message', () => resolve(true));
  thread.once('error', () => resolve(false));
});
const { error: refusal }: { error?: NodeJS.ErrnoException } = spawnSync('/bin/true');
const told = {
  before: /^Uid:\s+0/m.test(status),
  descriptors,
  calls,
  connect: [await errorOf('127.0.0.1'), await errorOf('::1')],
  program: refusal?.code,
  root: readdirSync('/'),
  threadWorks,
};
writeSync(1, `${JSON.stringify(told)}\n`);
// Runs until the test has examined it from outside.
process.stdin.resume();
