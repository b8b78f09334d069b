import { setTimeout as sleep } from 'node:timers/promises';
import { Code } from '@connectrpc/connect';
import { Signal } from '@soulbox/contract/process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { collect, createClients, runShell, startInBackground } from '../testing/clients.ts';
import type { TestEnvd } from '../testing/start-envd.ts';
import { startEnvd } from '../testing/start-envd.ts';
import { findTestRoot } from '../testing/test-root.ts';

let envd: TestEnvd;
let process: ReturnType<typeof createClients>['process'];

beforeAll(async () => {
  envd = await startEnvd(await findTestRoot());
  process = createClients(envd.baseUrl).process;
});

afterAll(async () => {
  await envd[Symbol.asyncDispose]();
});

const byPid = (value: number) => ({ process: { selector: { case: 'pid' as const, value } } });
const stdin = (text: string) => ({ input: { input: { case: 'stdin' as const, value: Buffer.from(text) } } });
const pty = (text: string) => ({ input: { input: { case: 'pty' as const, value: Buffer.from(text) } } });

async function livePids(): Promise<number[]> {
  return (await process.list({})).processes.map((one) => one.pid);
}

describe('connecting', () => {
  test('a client that leaves does not end the process, and another can connect', async () => {
    const line = 'sleep 0.5; for i in 1 2 3; do echo $i; sleep 0.05; done';
    const { pid, disconnect } = await startInBackground(process, { process: { cmd: '/bin/bash', args: ['-c', line] } });
    disconnect();
    await sleep(100);
    const [one, two] = await Promise.all([collect(process.connect(byPid(pid))), collect(process.connect(byPid(pid)))]);
    expect(one).toMatchObject({ pid, stdout: '1\n2\n3\n', end: { exitCode: 0 } });
    expect(two).toEqual(one);
  });

  test('clients can connect to an ended process, but it is neither listed nor signaled', async () => {
    const { pid } = await runShell(process, 'echo x; exit 5');
    expect(await livePids()).not.toContain(pid);
    expect(await collect(process.connect(byPid(pid)))).toMatchObject({ pid, stdout: '', end: { exitCode: 5 } });
    await expect(process.sendSignal({ ...byPid(pid), signal: Signal.SIGKILL })).rejects.toMatchObject({
      code: Code.NotFound,
    });
  });

  test('a process is found by its tag and listed with its configuration', async () => {
    const config = { cmd: 'sleep', args: ['60'], envs: { A: 'b' }, cwd: '/tmp' };
    const { pid } = await startInBackground(process, { process: config, tag: 'nap' });
    const listed = (await process.list({})).processes.find((one) => one.pid === pid);
    expect(listed).toMatchObject({ tag: 'nap', config });
    await process.sendSignal({ process: { selector: { case: 'tag', value: 'nap' } }, signal: Signal.SIGKILL });
  });

  test.each([
    [byPid(4_000_000), 'process with pid 4000000 not found'],
    [{ process: { selector: { case: 'tag' as const, value: '../x\n' } } }, 'process with tag ../x\n not found'],
  ])('an unknown process is not found', async (selector, message) => {
    await expect(collect(process.connect(selector))).rejects.toMatchObject({
      code: Code.NotFound,
      rawMessage: message,
    });
    await expect(process.sendInput({ ...selector, ...stdin('x') })).rejects.toMatchObject({ code: Code.NotFound });
    await expect(process.closeStdin(selector)).rejects.toMatchObject({ code: Code.NotFound });
    await expect(process.update(selector)).rejects.toMatchObject({ code: Code.NotFound });
  });

  test('a request without a selector is invalid', async () => {
    await expect(process.closeStdin({})).rejects.toMatchObject({ code: Code.InvalidArgument });
  });

  test('keepalives are sent during silence', async () => {
    const events: (string | undefined)[] = [];
    const stream = process.start(
      { process: { cmd: 'sleep', args: ['2.5'] } },
      { headers: { 'keepalive-ping-interval': '1' } },
    );
    for await (const { event } of stream) events.push(event?.event.case);
    expect(events).toEqual(['start', 'keepalive', 'keepalive', 'end']);
  });
});

describe('input', () => {
  test('standard input is absent unless requested', async () => {
    expect((await runShell(process, 'readlink /proc/self/fd/0')).stdout).toBe('/dev/null\n');
    const { pid, rest } = await startInBackground(process, { process: { cmd: 'readlink', args: ['/proc/self/fd/0'] } });
    expect(pid).toBeGreaterThan(0);
    expect((await rest).stdout).toMatch(/^pipe:/);
  });

  test('pieces arrive in order, closing ends the input, and closing twice is allowed', async () => {
    const config = { cmd: '/bin/bash', args: ['-c', 'cat; sleep 1'] };
    const { pid, rest } = await startInBackground(process, { process: config });
    const pieces = Array.from({ length: 20 }, (_, index) => `${index}-${'x'.repeat(65_536)}\n`);
    await Promise.all(pieces.map(async (piece) => await process.sendInput({ ...byPid(pid), ...stdin(piece) })));
    await process.sendInput({ ...byPid(pid), ...stdin('') });
    await process.closeStdin(byPid(pid));
    await process.closeStdin(byPid(pid));
    const late = process.sendInput({ ...byPid(pid), ...stdin('x') });
    await expect(late).rejects.toMatchObject({ code: Code.Internal });
    expect((await rest).stdout).toBe(pieces.join(''));
  });

  test('a process that does not read makes the caller wait, and others are served meanwhile', async () => {
    const { pid } = await startInBackground(process, { process: { cmd: 'sleep', args: ['60'] } });
    const stuck = process.sendInput({ ...byPid(pid), ...stdin('x'.repeat(1_000_000)) }, { timeoutMs: 500 });
    stuck.catch(() => undefined);
    expect((await runShell(process, 'echo served')).stdout).toBe('served\n');
    await expect(stuck).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    await process.sendSignal({ ...byPid(pid), signal: Signal.SIGKILL });
  });

  test('input of the wrong kind is rejected', async () => {
    const { pid } = await startInBackground(process, { process: { cmd: 'sleep', args: ['60'] }, stdin: false });
    const selected = byPid(pid);
    await expect(process.sendInput({ ...selected, ...pty('x') })).rejects.toMatchObject({ code: Code.Internal });
    await expect(process.sendInput({ ...selected, ...stdin('x') })).rejects.toMatchObject({ code: Code.Internal });
    await expect(process.sendInput(selected)).rejects.toMatchObject({ code: Code.InvalidArgument });
    await expect(process.update({ ...selected, pty: { size: { cols: 1, rows: 1 } } })).rejects.toMatchObject({
      code: Code.Internal,
    });
    await process.sendSignal({ ...selected, signal: Signal.SIGKILL });
  });
});

describe('terminals', () => {
  const size = { size: { cols: 91, rows: 33 } };

  test('a shell has a controlling terminal of the requested size, owned by the user', async () => {
    const args = ['-c', 'tty; stty size; stat -c "%U %a" $(tty); echo to-tty > /dev/tty; exit 4'];
    const outcome = await collect(process.start({ process: { cmd: '/bin/bash', args }, pty: size }));
    expect(outcome.pty).toBe('/dev/pts/0\r\n33 91\r\nuser 620\r\nto-tty\r\n');
    expect(outcome.end?.exitCode).toBe(4);
  });

  test('typing, resizing and Ctrl-C work', async () => {
    const envs = { PS1: '', TERM: 'dumb' };
    const { pid, rest } = await startInBackground(process, {
      process: { cmd: '/bin/bash', args: ['--norc', '-i'], envs },
      pty: size,
    });
    const type = async (text: string) => await process.sendInput({ ...byPid(pid), ...pty(text) });
    await type('sleep 60\n');
    await sleep(300);
    await type('\x03');
    await process.update({ ...byPid(pid), pty: { size: { cols: 120, rows: 40 } } });
    await sleep(200);
    await type('stty size; exit 3\n');
    const outcome = await rest;
    expect(outcome.pty).toContain('40 120');
    expect(outcome.end?.exitCode).toBe(3);
  });

  test('a terminal accepts no standard input and cannot be closed', async () => {
    const { pid, rest } = await startInBackground(process, { process: { cmd: 'sleep', args: ['60'] }, pty: size });
    await expect(process.sendInput({ ...byPid(pid), ...stdin('x') })).rejects.toMatchObject({ code: Code.Internal });
    await expect(process.closeStdin(byPid(pid))).rejects.toMatchObject({ code: Code.Unknown });
    await process.sendSignal({ ...byPid(pid), signal: Signal.SIGKILL });
    expect((await rest).end).toMatchObject({ exitCode: -1, status: 'signal: killed' });
  });
});
