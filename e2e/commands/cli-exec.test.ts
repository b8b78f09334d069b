/** @module-tag violation */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { nodeProgram } from '@soulbox/testing';
import { startFaultProxy } from '@soulbox/testing/fault-proxy';
import { expect, onTestFinished, test } from 'vitest';
import { createSandbox, sharedSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

// The commands of `soulbox` for programs in sandboxes, as people and scripts use them.
const cliMain = join(import.meta.dirname, '../../apps/cli/src/main.ts');
const shared = sharedSandbox({ timeoutMs: 300_000 });
const id = (): string => shared().sandboxId;

interface Ran {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

function environmentWith(added: Readonly<Record<string, string>>): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: '/root', TERM: 'xterm', ...server.plain, ...added };
}

function start(
  args: readonly string[],
  added: Readonly<Record<string, string>> = {},
): { child: ChildProcessWithoutNullStreams; ran: Promise<Ran> } {
  const child = spawn(nodeProgram, [cliMain, 'sandbox', ...args], { env: environmentWith(added), timeout: 50_000 });
  child.stdin.on('error', () => undefined);
  const read = async (): Promise<Ran> => {
    const [stdout, stderr, [code]] = await Promise.all([
      ...[buffer(child.stdout), buffer(child.stderr)],
      once(child, 'close') as Promise<[number | null]>,
    ] as const);
    return { code, stdout, stderr: stderr.toString() };
  };
  return { child, ran: read() };
}

async function soulbox(args: readonly string[], input: Uint8Array | string = '', added = {}) {
  const { child, ran } = start(args, added);
  child.stdin.end(input);
  const { code, stdout, stderr } = await ran;
  return { code, stdout: stdout.toString(), stderr };
}

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test('a program has its arguments, output, errors and exit code, and no input unless it is asked for', async () => {
  const script = 'printf "%s|" "$@"; cat; echo err >&2; exit 7';
  const args = ['exec', '--env', 'A= 1', id(), 'bash', '-c', script, '-x', '--json', '--help', 'a  "b', '', '$A'];
  expect(await soulbox(args, 'not for it')).toEqual({ code: 7, stdout: '--json|--help|a  "b||$A|', stderr: 'err\n' });
  const asRoot = [
    'exec',
    '--user=root',
    '--cwd',
    '/tmp',
    '--env',
    'A= 1',
    id(),
    '--',
    'sh',
    '-c',
    'id -un; pwd; echo "$A"',
  ];
  expect((await soulbox(asRoot)).stdout).toBe('root\n/tmp\n 1\n');
});

test('each byte passes once in both directions, over connections that break', async () => {
  await using proxy = await startFaultProxy(server.port);
  const url = `http://127.0.0.1:${proxy.port}`;
  const input = randomBytes(8_000_000);
  const { child, ran } = start(['exec', '-i', id(), 'cat'], { E2B_API_URL: url, E2B_SANDBOX_URL: url });
  child.stdin.end(input);
  await once(child.stdout, 'data');
  const cutting = setInterval(() => proxy.cutAll(), 70);
  proxy.setFault((n) => (n % 4 === 0 ? { kind: 'cut', afterBytes: randomInt(300_000) } : { kind: 'none' }));
  await sleep(1000);
  clearInterval(cutting);
  const { code, stdout, stderr } = await ran;
  expect([code, stderr, digestOf(stdout)]).toEqual([0, '', digestOf(input)]);
  expect(proxy.accepted).toBeGreaterThan(10);
});

test('a program that cannot run, a sandbox that is gone and a wrong key have exit codes of their own', async () => {
  const dead = await createSandbox();
  const { child, ran } = start(['exec', dead.sandboxId, 'sh', '-c', 'echo up; sleep 100']);
  await once(child.stdout, 'data');
  const others = Promise.all([
    soulbox(['exec', id(), '/nowhere']),
    soulbox(['exec', id(), '/etc/passwd']),
    soulbox(['exec', id(), '--timeout', '1', 'sleep', '100']),
    soulbox(['exec', 'i00000000000000000000', 'true']),
    soulbox(['exec', id(), 'true'], '', { E2B_API_KEY: `e2b_${'0'.repeat(40)}` }),
  ]);
  await dead.kill();
  const all = [...(await others), await ran];
  expect(all.map(({ code }) => code)).toEqual([127, 126, 124, 125, 125, 125]);
  const words = ['no such file', 'permission denied', 'time limit', 'was not found', 'API key', 'has ended'];
  for (const [index, { stderr }] of all.entries()) expect(stderr).toContain(words[index]);
});

const isRunning = async (text: string): Promise<boolean> =>
  (await shared().commands.list()).some(({ args }) => args.join(' ').includes(text));

test('a reader that closes the output ends the program', async () => {
  const line = `"$0" "$1" sandbox exec "$2" yes unread | head -c 3000 | wc -c; echo "\${PIPESTATUS[0]}"`;
  const { stdout } = await promisify(execFile)('bash', ['-c', line, nodeProgram, cliMain, id()], {
    env: environmentWith({}),
  });
  expect(stdout).toBe('3000\n141\n');
  await until('the end of yes', async () => !(await isRunning('unread')));
});

test('Ctrl-C at any moment ends the program, or it has not begun', async () => {
  const codes = await Promise.all(
    [100, 400, 700, 1000, 1500].map(async (waitMs, index) => {
      const { child, ran } = start(['exec', id(), 'sleep', `98${index}`]);
      await sleep(waitMs);
      child.kill('SIGINT');
      const { code } = await ran;
      return code ?? child.signalCode;
    }),
  );
  for (const code of codes) expect([130, 'SIGINT']).toContain(code);
  await until('nothing is left', async () => !(await isRunning('sleep 98')));
});

test('the third Ctrl-C leaves a program that ignores the others, and its output is still there', async () => {
  const script =
    'trap "echo ignored" INT; echo ready; until [ -e /tmp/stop ]; do sleep 0.1; done; head -c 20000000 /dev/zero; exit 4';
  const { child, ran } = start(['exec', id(), 'bash', '-c', script]);
  for (let times = 0; times < 3; times += 1) {
    await once(child.stdout, 'data');
    child.kill('SIGINT');
  }
  const { code, stderr } = await ran;
  const again = /soulbox sandbox (attach --take-over \S+ \S+ --from (\d+))\n/.exec(stderr);
  expect([code, again?.[2]]).toEqual([130, '22']);
  const attached = start((again?.[1] ?? '').split(' '));
  await shared().files.write('/tmp/stop', '');
  const { code: exitCode, stdout } = await attached.ran;
  // More than its log has room for.
  expect([exitCode, stdout.length]).toEqual([4, 20_000_000]);
});

test('what an official client has started can be listed and attached to, also after its end', async () => {
  const handle = await shared().commands.run('echo started; read line; echo "got $line"; exit 3', {
    ...{ background: true, stdin: true },
  });
  const list = JSON.parse((await soulbox(['processes', id(), '--json'])).stdout) as {
    pid: number;
    processID: string;
  }[];
  const found = list.find(({ pid }) => pid === handle.pid);
  expect(found).toMatchObject({ startedBy: 'e2b', exit: null });
  const attach = ['attach', id(), String(handle.pid)];
  expect(await soulbox([...attach, '-i'], 'typed\n')).toEqual({ code: 3, stdout: 'started\ngot typed\n', stderr: '' });
  expect(await soulbox([...attach, '--from', '8'])).toEqual({ code: 3, stdout: 'got typed\n', stderr: '' });
  const [table, beyond, nobody] = await Promise.all([
    soulbox(['processes', id()]),
    soulbox([...attach, '--from', '999']),
    soulbox(['attach', id(), '999999']),
  ]);
  expect(table.stdout).toMatch(new RegExp(`${handle.pid} +exit 3 .* E2B `));
  expect([beyond.code, beyond.stderr]).toEqual([125, expect.stringContaining('out_of_range')]);
  expect([nobody.code, nobody.stderr]).toEqual([125, expect.stringContaining('soulbox sandbox processes')]);
});

test('a detached program runs on', async () => {
  const { code, stdout } = await soulbox(['exec', '-d', id(), 'sh', '-c', 'sleep 0.5; echo later']);
  expect(code).toBe(0);
  expect(await soulbox(['attach', id(), stdout.trim()])).toEqual({ code: 0, stdout: 'later\n', stderr: '' });
});

/** A session in a terminal of script(1), which has the size 0 until stty(1) gives it one. */
class Session {
  readonly #child: ChildProcessWithoutNullStreams;
  #seen = '';

  constructor(args: readonly string[], size?: string, added: Readonly<Record<string, string>> = {}) {
    const command = [nodeProgram, cliMain, 'sandbox', ...args].map((word) => `'${word}'`).join(' ');
    const resized = size === undefined ? command : `stty ${size}; tty; exec ${command}`;
    this.#child = spawn('script', ['--quiet', '--return', '--command', resized, '/dev/null'], {
      ...{ env: environmentWith({ SHELL: '/bin/sh', ...added }), timeout: 50_000 },
    });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => (this.#seen += text));
    onTestFinished(() => void this.#child.kill('SIGKILL'));
  }

  type(keys: string): void {
    this.#child.stdin.write(keys);
  }

  /** Waits for text that matches. What comes after it is looked at next. */
  async see(pattern: RegExp): Promise<RegExpExecArray> {
    const found = await until(
      `${String(pattern)} in ${this.#seen}`,
      () => pattern.exec(this.#seen) ?? undefined,
      20_000,
    );
    this.#seen = this.#seen.slice(found.index + found[0].length);
    return found;
  }

  async end(): Promise<number | null> {
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    return this.#child.exitCode;
  }
}

test('connect opens a terminal of the same size, which can be left and entered again', async () => {
  const session = new Session(['connect', id(), '--env', 'PS1=> '], 'rows 30 cols 90');
  const [, device = ''] = await session.see(/(\/dev\/pts\/\d+)/);
  await session.see(/[$>] $/);
  session.type('stty size; printf "a\\nb\\n"; echo $TERM\r');
  await session.see(/\r30 90\r\na\r\nb\r\nxterm\r\n/);
  spawn('stty', ['-F', device, 'rows', '50', 'cols', '65535']);
  await sleep(500);
  session.type('stty size; X=kept; cat\r');
  await session.see(/\r50 65535\r\n/);
  // What the terminal shows, and what cat prints: bash loses a ^C that comes while it starts a program.
  session.type('typed\r');
  await session.see(/typed\r\ntyped\r\n/);
  session.type('\x03');
  // gVisor's terminal does not show ^C.
  await session.see(/[$>] $/);
  session.type('\x10\x11');
  const [, again = ''] = await session.see(/soulbox sandbox (connect \S+ --attach \S+)/);
  expect(await session.end()).toBe(0);

  const second = new Session(again.trim().split(' '));
  await second.see(/50 65535\r\n/);
  second.type('echo $X; exit 5\r');
  await second.see(/\rkept\r\n/);
  expect(await second.end()).toBe(5);
});

test('two sessions on one terminal get every byte, over connections that break', async () => {
  await using proxy = await startFaultProxy(server.port);
  const url = `http://127.0.0.1:${proxy.port}`;
  const broken = { E2B_API_URL: url, E2B_SANDBOX_URL: url };
  const first = new Session(['connect', id(), '--env', 'PS1=> '], 'rows 30 cols 90', broken);
  await first.see(/[$>] $/);
  const listed = await soulbox(['processes', id(), '--json']);
  const processes = JSON.parse(listed.stdout) as { processID: string; hasTerminal: boolean }[];
  const terminal = processes.findLast(({ hasTerminal }) => hasTerminal);
  const second = new Session(['connect', id(), '--attach', terminal?.processID ?? ''], 'rows 30 cols 90', broken);
  await second.see(/[$>] $/);
  const cut = async (): Promise<void> => {
    for (let times = 0; times < 40; times += 1) {
      proxy.cutAll();
      await sleep(100);
    }
  };
  const cutting = cut();
  first.type('for i in $(seq 200); do echo "line $i."; sleep 0.01; done; echo all do""ne\r');
  const whole = new RegExp(`${Array.from({ length: 200 }, (_, at) => `line ${at + 1}\\.\\r\\n`).join('')}all done`);
  await Promise.all([first.see(whole), second.see(whole)]);
  await cutting;
  second.type('exit 3\r');
  expect(await Promise.all([first.end(), second.end()])).toEqual([3, 3]);
  expect(proxy.accepted).toBeGreaterThan(10);
});

test('a terminal of the size 0 becomes a usual one, and connect wakes a paused sandbox', async () => {
  const sandbox = await createSandbox();
  await sandbox.pause();
  const session = new Session(['exec', '-it', sandbox.sandboxId, 'stty', 'size']);
  await session.see(/24 80\r\n/);
  expect(await session.end()).toBe(0);
});

test('a terminal without one here ends with its input', async () => {
  const command = ['exec', '-t', id(), 'sh', '-c', 'tty; cat -; exit 6'];
  const { code, stdout, stderr } = await soulbox(command, 'typed', { SOULBOX_EVENTS: '1' });
  // The terminal shows what is typed when it arrives, which may be before the program has started.
  expect([code, stdout]).toEqual([6, expect.stringMatching(/^(typed)?\/dev\/pts\/\d+\r\ntyped/)]);
  // Its connection is HTTP/2.
  expect(stderr).toContain('connected (1 open)');
});

const digester = [
  'import hashlib, socket',
  's = socket.create_server(("127.0.0.1", 7000))',
  'open("/tmp/listening", "w")',
  'while True:',
  '  c = s.accept()[0]; data = b""',
  '  while piece := c.recv(65536): data += piece',
  '  c.sendall(hashlib.sha256(data).hexdigest().encode() + data); c.close()',
].join('\n');

test('forwarded ports reach what listens on loopback, byte for byte, with the end of each side', async () => {
  await shared().files.write('/tmp/digester.py', digester);
  await shared().commands.run('python3 /tmp/digester.py', { background: true });
  await until('the port', async () => await shared().files.exists('/tmp/listening'));
  const { child, ran } = start(['port-forward', '--json', id(), '0:7000', '0:7001']);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const portOf = async (): Promise<number> =>
    (JSON.parse((await lines.next()).value as string) as { port: number }).port;
  const [open, closed] = [await portOf(), await portOf()];
  const input = randomBytes(2_000_000);
  await Promise.all(
    [input, Buffer.from(''), Buffer.from('short')].map(async (sent) => {
      const socket = connect({ port: open, host: '127.0.0.1', allowHalfOpen: true });
      socket.end(sent);
      const answer = await buffer(socket);
      expect(answer.subarray(0, 64).toString()).toBe(digestOf(sent));
      expect(answer.subarray(64).equals(sent)).toBe(true);
    }),
  );
  await expect(once(connect({ port: closed, host: '127.0.0.1' }), 'end')).rejects.toThrow('ECONNRESET');
  // A client that leaves ends what serves it.
  const left = connect({ port: open, host: '127.0.0.1' });
  await once(left, 'connect');
  await until('its process', async () => await isRunning('hosts.shift'));
  left.destroy();
  await until('no process', async () => !(await isRunning('hosts.shift')));
  // One that is open at the end.
  const kept = connect({ port: open, host: '127.0.0.1' });
  await until('its process', async () => await isRunning('hosts.shift'));
  child.kill('SIGINT');
  const { code, stderr } = await ran;
  kept.destroy();
  await until('no process', async () => !(await isRunning('hosts.shift')));
  expect([code, stderr]).toEqual([130, `warning: Nothing listens on port 7001 of ${id()}.\n`]);
});
