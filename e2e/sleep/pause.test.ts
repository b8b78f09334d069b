import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox, SandboxNotFoundError, TimeoutError } from 'e2b';
import { expect, test } from 'vitest';
import { ask, askApi, routes } from '../harness/http.ts';
import { needs, skipWithout } from '../harness/needs.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { until } from '../harness/until.ts';

needs('checkpoint');

/** Counts in memory, one line per call. The next line shows whether its memory was restored. */
const counter = `
import http.server
class Counter(http.server.BaseHTTPRequestHandler):
    count = 0
    def do_GET(self):
        Counter.count += 1
        self.send_response(200); self.end_headers()
        self.wfile.write(str(Counter.count).encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(('127.0.0.1', 8080), Counter).serve_forever()
`;

const askPort = async (sandbox: Sandbox, port: number): Promise<string> => {
  const answer = await ask({ path: '/', headers: routes.headers(sandbox.sandboxId, port) });
  return answer.body;
};

async function startCounter(sandbox: Sandbox): Promise<number> {
  await sandbox.files.write('counter.py', counter);
  const { pid } = await sandbox.commands.run('python3 counter.py', { background: true, timeoutMs: 0 });
  await until('the counter answers', async () => (await askPort(sandbox, 8080)) === '1');
  return pid;
}

test('memory, processes, files, ports, id and token are restored', async () => {
  const sandbox = await createSandbox({ metadata: { test: 'pause' } });
  const pid = await startCounter(sandbox);
  await sandbox.files.write('kept.txt', 'kept');
  const before = await sandbox.getInfo();

  expect(await sandbox.pause()).toBe(true);
  const paused = await sandbox.getInfo();
  expect(paused).toMatchObject({ state: 'paused', metadata: { test: 'pause' }, startedAt: before.startedAt });
  expect(await sandbox.isRunning()).toBe(false);

  const again = await Sandbox.connect(sandbox.sandboxId, { timeoutMs: 120_000 });
  expect(again.sandboxId).toBe(sandbox.sandboxId);
  expect(await sandbox.isRunning()).toBe(true);
  expect(await askPort(sandbox, 8080)).toBe('2');
  expect(await sandbox.files.read('kept.txt')).toBe('kept');
  expect((await sandbox.commands.list()).map((process) => process.pid)).toContain(pid);
  const after = await sandbox.getInfo();
  expect(after.state).toBe('running');
  expect(after.endAt.getTime()).toBeGreaterThan(Date.now() + 100_000);
});

test('a sandbox can be paused and resumed again and again', async () => {
  const sandbox = await createSandbox();
  await startCounter(sandbox);
  for (let round = 2; round <= 5; round++) {
    await sandbox.pause();
    await sandbox.connect();
    expect(await askPort(sandbox, 8080)).toBe(String(round));
    expect((await sandbox.commands.run(`echo ${String(round)} | sudo tee -a /root/log`)).exitCode).toBe(0);
  }
  expect((await sandbox.commands.run('sudo cat /root/log')).stdout).toBe('2\n3\n4\n5\n');
});

test('a stream that is open at the pause ends as the client expects, and the client can attach to its process again', async () => {
  const sandbox = await createSandbox();
  const script = 'i=0; while sleep 0.1; do i=$((i+1)); echo $i; done';
  let seen = '';
  const handle = await sandbox.commands.run(script, {
    background: true,
    timeoutMs: 0,
    onStdout: (text) => {
      seen = text;
    },
  });
  const ended = handle.wait().catch((error: unknown) => error);
  await until('output', () => seen !== '');
  await sandbox.pause();
  expect(await ended).toBeInstanceOf(TimeoutError);

  await sandbox.connect();
  const last = Number(seen);
  const attached = await sandbox.commands.connect(handle.pid);
  const next = Number(await until('more output', () => attached.stdout.split('\n')[0] || undefined));
  expect(next).toBeGreaterThan(last);
  expect(next).toBeLessThan(last + 40);
  expect(await attached.kill()).toBe(true);
});

test('an ordinary user may ping and use ports below 1024, and still may after a pause', async () => {
  const sandbox = await createSandbox();
  const tried = `import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
socket.socket().bind(("0.0.0.0", 80))`;
  const tryIt = async (): Promise<number> => (await sandbox.commands.run(`python3 -c '${tried}'`)).exitCode;
  expect(await tryIt()).toBe(0);
  await sandbox.pause();
  await sandbox.connect();
  expect(await tryIt()).toBe(0);
});

test('a shell on a terminal keeps its variables', async () => {
  const sandbox = await createSandbox();
  const chunks: string[] = [];
  const onData = (data: Uint8Array): void => {
    chunks.push(Buffer.from(data).toString());
  };
  const terminal = await sandbox.pty.create({ cols: 80, rows: 24, onData, timeoutMs: 0 });
  terminal.wait().catch(() => undefined);
  await sandbox.pty.sendInput(terminal.pid, new TextEncoder().encode('secret=walrus\n'));
  await until('the shell read the line', () => chunks.join('').includes('secret=walrus'));
  await sandbox.pause();
  await sandbox.connect();
  chunks.length = 0;
  const again = await sandbox.pty.connect(terminal.pid, { onData, timeoutMs: 0 });
  again.wait().catch(() => undefined);
  await sandbox.pty.sendInput(terminal.pid, new TextEncoder().encode('echo "the $secret"; tput cols\n'));
  await until('its answer', () => chunks.join('').includes('the walrus'));
  await sandbox.pty.kill(terminal.pid);
});

/** Keeps something open from before the pause, and prints afterwards what it still receives from it. */
async function tellAcrossPause(hold: string, tell: string): Promise<string> {
  const sandbox = await createSandbox();
  const script = `
import os, socket, time
${hold}
open('/tmp/held', 'w').close()
while not os.path.exists('/tmp/go'): time.sleep(0.02)
told = ${tell}
open('/tmp/out.new', 'w').write(told)
os.rename('/tmp/out.new', '/tmp/out')
`;
  await sandbox.files.write('held.py', script);
  await sandbox.commands.run('python3 held.py', { background: true, timeoutMs: 0 });
  await until('it holds what it is to hold', async () => await sandbox.files.exists('/tmp/held'));
  await sandbox.pause();
  await sandbox.connect();
  await sandbox.files.write('/tmp/go', '');
  await until('its result', async () => await sandbox.files.exists('/tmp/out'));
  return await sandbox.files.read('/tmp/out');
}

test('connections between processes of the sandbox stay, and so does the content of pipes', async () => {
  const hold = `
server = socket.create_server(('127.0.0.1', 9000))
client = socket.create_connection(('127.0.0.1', 9000))
peer, _ = server.accept()
r, w = os.pipe()
os.write(w, b'in the pipe')`;
  const tell = "(client.sendall(b'over loopback') or peer.recv(100).decode()) + '|' + os.read(r, 100).decode()";
  expect(await tellAcrossPause(hold, tell)).toBe('over loopback|in the pipe');
});

/** Answers one connection after the other, each a moment late: about half of the time a connection waits for it. */
const slowServer = `
import socket, time
server = socket.create_server(('127.0.0.1', 9001))
while True:
    time.sleep(0.0003)
    connection, _ = server.accept()
    connection.sendall(connection.recv(100))
    connection.close()
`;

/** Ends with an error when a connection fails. */
const strictClient = `
import socket
done = 0
while True:
    with socket.create_connection(('127.0.0.1', 9001), 5) as connection:
        connection.sendall(b'asked')
        assert connection.recv(100) == b'asked'
    done += 1
    open('/tmp/done.new', 'w').write(str(done))
    __import__('os').rename('/tmp/done.new', '/tmp/done')
`;

test('a server that often has a connection to accept can be paused, and no connection fails', async (context) => {
  skipWithout('handshakes', context);
  const sandbox = await createSandbox();
  const readDone = async (): Promise<number> => Number(await sandbox.files.read('/tmp/done').catch(() => '0'));
  await sandbox.files.write('server.py', slowServer);
  await sandbox.files.write('client.py', strictClient);
  await sandbox.commands.run('python3 server.py', { background: true, timeoutMs: 0 });
  await sandbox.commands.run('sleep 0.5; python3 client.py', { background: true, timeoutMs: 0 });
  await until('an answer', async () => (await readDone()) > 0);
  for (let round = 0; round < 8; round++) {
    await sandbox.pause();
    await sandbox.connect();
    const before = await readDone();
    await until('another answer', async () => (await readDone()) > before);
  }
});

test('a connection that no program has accepted is kept, or its client gets an error', async () => {
  const hold = `
server = socket.create_server(('127.0.0.1', 9000))
server.settimeout(5)
client = socket.create_connection(('127.0.0.1', 9000), 5)
client.sendall(b'asked')
def accept_all():
    late = socket.create_connection(('127.0.0.1', 9000), 5)
    late.sendall(b'late')
    seen = []
    while 'late' not in seen:
        try: seen.append(server.accept()[0].recv(100).decode())
        except ConnectionError: pass
    return seen
def ask():
    try: return 'error' if client.recv(100) == b'' else 'an answer'
    except TimeoutError: return 'nothing'
    except OSError: return 'error'`;
  expect(['asked,late', 'late: error']).toContain(
    await tellAcrossPause(hold, "(lambda seen: ','.join(seen) if 'asked' in seen else 'late: ' + ask())(accept_all())"),
  );
});

test('deleted files that are open stay readable', async (context) => {
  skipWithout('deletedFiles', context);
  const hold = "file = open('/tmp/gone', 'w+'); file.write('deleted, not gone'); file.flush(); os.unlink('/tmp/gone')";
  expect(await tellAcrossPause(hold, '[file.seek(0), file.read()][1]')).toBe('deleted, not gone');
});

test('the wall clock is right at once, and timers are not lost and do not fire in a burst', async () => {
  const sandbox = await createSandbox();
  const script = `
const ticks = [];
setInterval(() => ticks.push(Date.now()), 200);
require('http').createServer((_, answer) => answer.end(JSON.stringify({ now: Date.now(), ticks }))).listen(8081);
`;
  await sandbox.files.write('timers.js', script);
  await sandbox.commands.run('node timers.js', { background: true, timeoutMs: 0 });
  await until('it answers', async () => (await askPort(sandbox, 8081)).startsWith('{'));
  await sandbox.pause();
  const asleepMs = 3000;
  await sleep(asleepMs);
  await sandbox.connect();
  const resumedAt = Date.now();
  const first = JSON.parse(await askPort(sandbox, 8081)) as { now: number };
  expect(Math.abs(first.now - Date.now())).toBeLessThan(1500);
  await sleep(1000);
  const { ticks } = JSON.parse(await askPort(sandbox, 8081)) as { ticks: number[] };
  const since = ticks.filter((tick) => tick >= resumedAt - 200);
  expect(since.length).toBeGreaterThanOrEqual(3);
  expect(since.length).toBeLessThanOrEqual(9);
});

test('a resume can start afresh on request although memory was saved', async () => {
  const sandbox = await createSandbox();
  await startCounter(sandbox);
  await sandbox.pause();
  await Sandbox.connect(sandbox.sandboxId, { onResume: 'reboot' });
  expect((await sandbox.commands.run("pgrep -f '[c]ounter.py' || echo none")).stdout).toBe('none\n');
});

test('paused sandboxes are listed by state, and a pause of a paused sandbox changes nothing', async () => {
  const sandbox = await createSandbox({ metadata: { test: 'states' } });
  const other = await createSandbox({ metadata: { test: 'states' } });
  await sandbox.pause();
  expect(await sandbox.pause()).toBe(false);
  const idsOf = async (state: ('running' | 'paused')[]): Promise<string[]> => {
    const items = await Sandbox.list({ query: { metadata: { test: 'states' }, state } }).nextItems();
    return items.map(({ sandboxId }) => sandboxId);
  };
  expect(await idsOf(['paused'])).toEqual([sandbox.sandboxId]);
  expect(await idsOf(['running'])).toEqual([other.sandboxId]);
  expect((await idsOf(['running', 'paused'])).toSorted()).toEqual([sandbox.sandboxId, other.sandboxId].toSorted());
});

test('a paused sandbox without auto-resume answers 502 at the edge and stays paused', async () => {
  const sandbox = await createSandbox();
  await sandbox.pause();
  const answer = await ask({ path: '/', headers: routes.headers(sandbox.sandboxId, 8080) });
  expect(answer.status).toBe(502);
  expect(answer.body).toMatch(/paused/);
  expect((await sandbox.getInfo()).state).toBe('paused');
});

test('a paused sandbox can be killed', async () => {
  const sandbox = await createSandbox();
  await sandbox.pause();
  expect(await sandbox.kill()).toBe(true);
  await expect(sandbox.getInfo()).rejects.toThrow(SandboxNotFoundError);
  await expect(Sandbox.connect(sandbox.sandboxId)).rejects.toThrow(SandboxNotFoundError);
});

test('fifty pauses and resumes at once leave one sandbox that works', { timeout: 120_000 }, async () => {
  const sandbox = await createSandbox();
  await startCounter(sandbox);
  const path = `/sandboxes/${sandbox.sandboxId}`;
  const statuses = await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      const asked =
        index % 2 === 0 ? askApi('POST', `${path}/pause`) : askApi('POST', `${path}/connect`, { timeout: 300 });
      return (await asked).status;
    }),
  );
  for (const status of statuses) expect([200, 201, 204, 409]).toContain(status);
  await sandbox.connect();
  expect(Number(await askPort(sandbox, 8080))).toBeGreaterThan(1);
});
