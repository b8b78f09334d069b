import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Code } from '@connectrpc/connect';
import { Signal } from '@soulbox/contract/process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asUser, collect, createClients, runShell, startInBackground } from '../testing/clients.ts';
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

async function livePids(): Promise<number[]> {
  return (await process.list({})).processes.map((one) => one.pid);
}

describe('user and working directory', () => {
  test('the default user runs in its home with its groups, and sudo works', async () => {
    const { stdout } = await runShell(process, 'id; pwd; sudo -n id -u 2>/dev/null');
    expect(stdout).toBe('uid=1000(user) gid=1000(user) groups=1000(user),27(sudo)\n/home/user\n0\n');
  });

  test('a user in the Authorization header is used instead', async () => {
    expect((await runShell(process, 'id -un; pwd', asUser('root'))).stdout).toBe('root\n/root\n');
  });

  test.each([asUser('nobody-here'), asUser('x'.repeat(10_000)), { headers: { authorization: 'Bearer x' } }])(
    'an unknown user is unauthenticated',
    async (options) => {
      await expect(runShell(process, 'id', options)).rejects.toMatchObject({ code: Code.Unauthenticated });
    },
  );

  test('an ordinary process has no capabilities, and the kernel kills it before envd when memory is short', async () => {
    const { stdout } = await runShell(process, 'grep CapPrm /proc/self/status; cat /proc/self/oom_score_adj; nice');
    expect(stdout).toBe('CapPrm:\t0000000000000000\n100\n0\n');
  });

  test('signals are neither ignored nor blocked', async () => {
    const { stdout } = await runShell(process, 'grep -E "Sig(Ign|Blk)" /proc/self/status | cut -f2 | sort -u');
    expect(stdout).toBe('0000000000000000\n');
  });

  test('only the three standard streams are open', async () => {
    const { stdout } = await collect(
      process.start({ process: { cmd: '/bin/ls', args: ['/proc/self/fd'] }, stdin: false }),
    );
    expect(stdout.split('\n').slice(0, 3)).toEqual(['0', '1', '2']);
    expect(stdout.trim().split('\n')).toHaveLength(4);
  });

  test('standard output can be reopened by name', async () => {
    expect((await runShell(process, 'echo x > /dev/stdout; echo y > /dev/stderr')).stderr).toBe('y\n');
  });

  test('the error names a missing working directory', async () => {
    const start = collect(process.start({ process: { cmd: 'pwd', cwd: '/nope' } }));
    await expect(start).rejects.toMatchObject({ code: Code.InvalidArgument, rawMessage: "cwd '/nope' does not exist" });
  });

  test.each([
    ['~', '/home/user'],
    ['/tmp', '/tmp'],
    ['../', '/home'],
  ])('the working directory %s is %s', async (cwd, expected) => {
    expect((await collect(process.start({ process: { cmd: 'pwd', cwd } }))).stdout.trim()).toBe(expected);
  });

  test('the environment is composed of user, global variables and request', async () => {
    await envd.init({ envVars: { GLOBAL: 'g', BOTH: 'g' } });
    const start = process.start({ process: { cmd: 'env', envs: { BOTH: 'r', OWN: 'a=b\nc' } }, stdin: false });
    const { stdout } = await collect(start);
    await envd.init({});
    expect(stdout.split('\n').slice(0, -1)).toEqual([
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'HOME=/home/user',
      'USER=user',
      'LOGNAME=user',
      'GLOBAL=g',
      'BOTH=r',
      'OWN=a=b',
      'c',
    ]);
  });
});

describe('processes that cannot start', () => {
  test.each([
    ['a missing file', { cmd: '/nope' }, 'no such file or directory'],
    ['a name not found in PATH', { cmd: 'nope' }, 'no such file or directory'],
    ['a file that may not be run', { cmd: '/etc/passwd' }, 'permission denied'],
    ['no command', { cmd: '' }, 'must name a command'],
    ['an argument with a NUL', { cmd: 'true', args: ['a\0b'] }, 'EINVAL'],
    ['a variable name with =', { cmd: 'true', envs: { 'A=B': 'x' } }, 'not a valid name'],
    ['arguments beyond the kernel', { cmd: 'true', args: ['x'.repeat(3_000_000)] }, 'E2BIG'],
  ])('%s', async (_name, config, text) => {
    const start = collect(process.start({ process: config }));
    await expect(start).rejects.toMatchObject({
      code: Code.InvalidArgument,
      rawMessage: expect.stringContaining(text) as string,
    });
  });

  test('a request without a process, and a terminal of an invalid size', async () => {
    await expect(collect(process.start({}))).rejects.toMatchObject({ code: Code.InvalidArgument });
    const wide = process.start({ process: { cmd: 'true' }, pty: { size: { cols: 4_000_000_000, rows: 1 } } });
    await expect(collect(wide)).rejects.toMatchObject({ code: Code.InvalidArgument });
  });
});

describe('the end of a process', () => {
  test.each([
    ['true', { exitCode: 0, exited: true, status: 'exit status 0' }],
    ['exit 7', { exitCode: 7, exited: true, status: 'exit status 7', error: 'exit status 7' }],
    ['kill -KILL $$', { exitCode: -1, exited: false, status: 'signal: killed', error: 'signal: killed' }],
    ['kill -TERM $$', { exitCode: -1, exited: false, status: 'signal: terminated', error: 'signal: terminated' }],
  ])('%s', async (line, end) => {
    expect((await runShell(process, line)).end).toEqual(end);
  });

  test('the end is delayed while another process holds the output open', async () => {
    const { stdout } = await runShell(process, '(sleep 0.4; echo late) & echo early');
    expect(stdout).toBe('early\nlate\n');
  });

  test('SIGTERM and SIGKILL reach the complete group', async () => {
    for (const signal of [Signal.SIGTERM, Signal.SIGKILL]) {
      const { pid, rest } = await startInBackground(process, {
        process: { cmd: '/bin/bash', args: ['-c', 'sleep 60 & sleep 60'] },
      });
      await process.sendSignal({ ...byPid(pid), signal });
      expect((await rest).end?.exitCode).toBe(-1);
    }
  });

  test('other signals are not supported', async () => {
    const { pid } = await startInBackground(process, { process: { cmd: 'sleep', args: ['60'] } });
    await expect(process.sendSignal({ ...byPid(pid), signal: Signal.UNSPECIFIED })).rejects.toMatchObject({
      code: Code.Unimplemented,
    });
    await process.sendSignal({ ...byPid(pid), signal: Signal.SIGKILL });
  });

  test('a deadline kills the process and ends the stream', async () => {
    const started = Date.now();
    await expect(runShell(process, 'trap "" TERM; sleep 60', { timeoutMs: 300 })).rejects.toMatchObject({
      code: Code.DeadlineExceeded,
    });
    expect(Date.now() - started).toBeLessThan(5000);
    await expect.poll(livePids).toEqual([]);
  });

  test('a deadline beyond the range of timers does not end the process at once', async () => {
    const { stdout } = await runShell(process, 'sleep 0.2; echo done', {
      headers: { 'connect-timeout-ms': '9999999999' },
    });
    expect(stdout).toBe('done\n');
  });

  test('orphans are reaped', async () => {
    const line = '(setsid sh -c "sleep 0.2" >/dev/null 2>&1 &) ; sleep 0.5; ps -eo stat= | grep -c Z || true';
    expect((await runShell(process, line)).stdout).toBe('0\n');
  });
});

test('hundreds of simultaneous processes all end and leave no descriptor open', async () => {
  const openFiles = async () => (await readdir(`/proc/${envd.pid}/fd`)).length;
  await runShell(process, 'true');
  await sleep(200);
  const before = await openFiles();
  const lines = Array.from(
    { length: 300 },
    async (_, index) => await runShell(process, `sleep 0.2; echo ${index}; exit ${index % 200}`),
  );
  const ptys = Array.from({ length: 20 }, async () => {
    const config = { cmd: '/bin/bash', args: ['-c', 'echo pty'] };
    return await collect(process.start({ process: config, pty: { size: { cols: 80, rows: 24 } } }));
  });
  const outcomes = await Promise.all(lines);
  expect(outcomes.map((one) => one.stdout)).toEqual(lines.map((_, index) => `${index}\n`));
  expect(outcomes.map((one) => one.end?.exitCode)).toEqual(lines.map((_, index) => index % 200));
  expect((await Promise.all(ptys)).map((one) => one.pty)).toEqual(ptys.map(() => 'pty\r\n'));
  // The clients keep some connections open.
  await expect.poll(openFiles, { timeout: 10_000 }).toBeLessThan(before + 5);
});

test('a client that does not read its output slows its process down, but not others', async () => {
  const abort = new AbortController();
  const stream = process.start(
    { process: { cmd: 'head', args: ['-c', '800000000', '/dev/zero'] } },
    { signal: abort.signal },
  );
  const first = await stream[Symbol.asyncIterator]().next();
  expect(first.done).toBe(false);
  await sleep(500);
  expect((await runShell(process, 'echo served')).stdout).toBe('served\n');
  const status = await readFile(`/proc/${envd.pid}/status`, 'utf8');
  expect(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1])).toBeLessThan(300_000);
  abort.abort();
  // Nobody listens any more, so the output is discarded and the process ends.
  await expect.poll(livePids, { timeout: 60_000 }).toEqual([]);
});
