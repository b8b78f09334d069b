// Network policies with names, through the unmodified client. The internet is in another network namespace.
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { removeTree } from '@soulbox/base';
import { findServerPart, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { userOf } from '@soulbox/process';
import { Sandbox } from 'e2b';
import type { SandboxOpts } from 'e2b';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ownInstance } from '../harness/own-instance.ts';
import { openOutside } from '../harness/outside.ts';
import type { Outside } from '../harness/outside.ts';
import { server as shared } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const instance = ownInstance();
const nameServer = '45.67.92.53';
const [allowed, other, third] = ['45.67.92.10', '45.67.92.11', '45.67.92.12'] as const;
const privateAddress = '10.77.0.9';
const names = {
  'allowed.test': [allowed],
  'deep.sub.allowed.test': [allowed],
  'other.test': [other],
  'private.test': [privateAddress],
  'rebinding.test': [allowed, privateAddress],
  'moving.test': [allowed, third],
};

let server: ServerProcess;
let outside: Outside;
beforeAll(async () => {
  const made = execFileSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
    ...['-subj', '/CN=stand-in', '-keyout', '-', '-out', '-'],
  ]).toString();
  const [key = ''] = /-----BEGIN PRIVATE KEY-----[^]*?-----END PRIVATE KEY-----\n/.exec(made) ?? [];
  const [certificate = ''] = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----\n/.exec(made) ?? [];
  const argument = JSON.stringify({ dns: nameServer, names, key, certificate });
  outside = await openOutside([nameServer, allowed, other, third, privateAddress], {
    program: 'internet.mjs',
    argument,
  });
  server = await startServer({
    instance,
    poolSize: 1,
    environment: { SOULBOX_ISOLATION: shared.isolation, SOULBOX_NAME_SERVERS: nameServer },
  });
});
afterAll(async () => {
  await server.stop();
  await removeTree(server.dataDirectory);
  await outside[Symbol.asyncDispose]();
});

const connection = (): { apiUrl: string; sandboxUrl: string; apiKey: string } => ({
  apiUrl: server.clientEnvironment['E2B_API_URL'] ?? '',
  sandboxUrl: server.clientEnvironment['E2B_SANDBOX_URL'] ?? '',
  apiKey: server.clientEnvironment['E2B_API_KEY'] ?? '',
});

async function create(network?: SandboxOpts['network'], more: SandboxOpts = {}): Promise<Sandbox> {
  const sandbox = await Sandbox.create({ ...connection(), ...more, ...(network === undefined ? {} : { network }) });
  onTestFinished(async () => {
    await sandbox.kill();
  });
  return sandbox;
}

/** Connects by TCP, sends the text, prints what comes within the time, and whether the connection ended or was refused. */
const dialer = `import socket, sys, time
host, port, text, seconds = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
end = time.time() + seconds
try:
  s = socket.create_connection((host, port), seconds); s.sendall(text.encode().decode('unicode_escape').encode())
  while time.time() < end:
    s.settimeout(max(0.01, end - time.time())); part = s.recv(65536)
    if not part: break
    sys.stdout.write(part.decode('latin1')); sys.stdout.flush()
  print('ended' if time.time() < end else 'held')
except TimeoutError: print('held')
except OSError: print('reset')
`;
async function dial(from: Sandbox, host: string, port: number, text: string, seconds: number): Promise<string> {
  await from.files.write('/tmp/dial.py', dialer);
  return (await from.commands.run(`python3 /tmp/dial.py ${host} ${port} '${text}' ${seconds}`)).stdout;
}

/** With settings that the client does not know: it leaves them out of its create. */
async function createWith(network: Record<string, unknown>): Promise<Sandbox> {
  const { status, json } = await api('POST', '/v2/sandboxes', { templateID: 'base', network });
  expect(status).toBe(201);
  const sandbox = await Sandbox.connect((json as { sandboxID: string }).sandboxID, connection());
  onTestFinished(async () => {
    await sandbox.kill();
  });
  return sandbox;
}

/** Kills these processes of the server at once, and waits for the next ones. */
async function killParts(...parts: ('egress' | 'runner')[]): Promise<void> {
  const before = parts.map((part) => findServerPart(server.pid, part) ?? 0);
  for (const pid of before) process.kill(pid, 'SIGKILL');
  for (const [index, part] of parts.entries())
    await until(`the next ${part}`, () => ![undefined, before[index]].includes(findServerPart(server.pid, part)));
}

/** A policy that allows these and nothing else. */
const only = (...allowOut: string[]): NonNullable<SandboxOpts['network']> => ({ allowOut, denyOut: ['0.0.0.0/0'] });

interface Seen {
  readonly headers: Record<string, string>;
  readonly localAddress: string;
  readonly url: string;
}

/** What the other end saw, or `unreachable`. */
async function get(from: Sandbox, url: string, flags = ''): Promise<Seen | 'unreachable'> {
  const command = `curl -gksS -m 5 --noproxy '*' ${flags} '${url}' 2>/dev/null || echo unreachable`;
  const text = (await from.commands.run(command)).stdout.trim();
  return text.endsWith('unreachable') ? 'unreachable' : (JSON.parse(text) as Seen);
}

async function api(method: string, path: string, body?: unknown): Promise<{ status: number; json: unknown }> {
  const { apiUrl, apiKey } = connection();
  const answer = await fetch(`${apiUrl}${path}`, {
    method,
    headers: { 'x-api-key': apiKey, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, json: text === '' ? undefined : (JSON.parse(text) as unknown) };
}

interface Connection {
  readonly sequence: number;
  readonly protocol: string;
  readonly name?: string;
  readonly address?: string;
  readonly port: number;
  readonly allowed: boolean;
  readonly rule?: string;
  readonly reason?: string;
  readonly bytesReceived: number;
  readonly count?: number;
}
async function connectionsOf(sandbox: Sandbox): Promise<Connection[]> {
  const all: Connection[] = [];
  for (;;) {
    const next = all.length === 0 ? '' : `&before=${String(all.at(-1)?.sequence)}`;
    const path = `/sandboxes/${sandbox.sandboxId}/connections?limit=1000${next}`;
    const page = (await api('GET', path)).json as Connection[];
    all.push(...page);
    if (page.length < 1000) return all;
  }
}

describe('names', () => {
  test('an allowed name is reached over HTTP and TLS, others and bare addresses are not', async () => {
    const sandbox = await create(only('allowed.test'));
    expect(await get(sandbox, 'http://allowed.test/a')).toMatchObject({ url: '/a', localAddress: allowed });
    expect(await get(sandbox, 'https://allowed.test/b')).toMatchObject({ url: '/b', localAddress: allowed });
    for (const url of ['http://other.test/', 'https://other.test/', `http://${allowed}/`, `https://${allowed}/`])
      expect(await get(sandbox, url), url).toBe('unreachable');
    expect(await get(sandbox, 'http://allowed.test:8080/')).toBe('unreachable');
    expect(await get(sandbox, 'http://deep.sub.allowed.test/')).toBe('unreachable');
  });

  test('a wildcard allows all names below it, and a port opens that port only', async () => {
    const sandbox = await create(only('*.allowed.test', 'other.test:8443'));
    expect(await get(sandbox, 'https://deep.sub.allowed.test/')).toMatchObject({ localAddress: allowed });
    expect(await get(sandbox, 'https://allowed.test/')).toBe('unreachable');
    expect(await get(sandbox, 'https://other.test:8443/')).toMatchObject({ localAddress: other });
    expect(await get(sandbox, 'https://other.test/')).toBe('unreachable');
  });

  test('the name decides, whatever address the sandbox connects to', async () => {
    const sandbox = await create(only('allowed.test'));
    const to = (url: string, address: string): Promise<Seen | 'unreachable'> =>
      get(sandbox, url, `--resolve '*:443:${address}' --resolve '*:80:${address}'`);
    // A stale or false address is corrected.
    expect(await to('https://allowed.test/', third)).toMatchObject({ localAddress: allowed });
    expect(await to('http://allowed.test/', third)).toMatchObject({ localAddress: allowed });
    // The address of an allowed name does not open another name.
    expect(await to('https://other.test/', allowed)).toBe('unreachable');
    expect(await get(sandbox, 'http://allowed.test/', "-H 'Host: other.test'")).toBe('unreachable');
    const request = (path: string, host: string): string => `GET ${path} HTTP/1.1\\r\\nHost: ${host}\\r\\n\\r\\n`;
    const both = await dial(
      sandbox,
      'allowed.test',
      80,
      request('/1', 'allowed.test') + request('/2', 'allowed.test'),
      1,
    );
    expect(both.match(/"url":"\/\d"/g)).toEqual(['"url":"/1"', '"url":"/2"']);
    const second = request('/1', 'allowed.test') + request('/2', 'other.test');
    expect(await dial(sandbox, 'allowed.test', 80, second, 2)).not.toContain('"url":"/2"');
  });

  test('a name whose address is private, now or later, does not lead there', async () => {
    await outside.forget();
    const sandbox = await create(only('private.test', 'rebinding.test'));
    for (let turn = 0; turn < 4; turn += 1) {
      const seen = await get(sandbox, 'http://rebinding.test/r');
      if (seen !== 'unreachable') expect(seen.localAddress).toBe(allowed);
      expect(await get(sandbox, 'http://private.test/p')).toBe('unreachable');
    }
    expect((await outside.heard()).filter((text) => text.includes('/p'))).toEqual([]);
  });

  test('an allowed address stays open beside names, also for programs whose server speaks first', async () => {
    const sandbox = await create(only('allowed.test', `${other}:22`));
    expect(await dial(sandbox, other, 22, '', 0.5)).toBe('hello first\nheld\n');
    expect(await dial(sandbox, third, 22, '', 0.5)).toBe('reset\n');
  });
});

describe('look-ups', () => {
  const lookup = async (sandbox: Sandbox, name: string): Promise<{ answer: string; ms: number }> => {
    const script = `const start = process.hrtime.bigint(); require('dns').resolve4('${name}', (error, found) => console.log(error?.code ?? found.join(), Number(process.hrtime.bigint() - start) / 1e6))`;
    const { stdout } = await sandbox.commands.run('node -e "$SCRIPT"', { envs: { SCRIPT: script } });
    const [answer = '', ms = ''] = stdout.trim().split(' ');
    return { answer, ms: Number(ms) };
  };

  test('a sandbox without internet hears at once that there is no such name, and the name server hears nothing', async () => {
    const sandbox = await create(undefined, { allowInternetAccess: false });
    await outside.forget();
    for (const name of ['allowed.test', 'other.test', 'secret-data.evil.test']) {
      const { answer, ms } = await lookup(sandbox, name);
      expect({ name, answer }).toEqual({ name, answer: 'ENOTFOUND' });
      expect(ms).toBeLessThan(200);
    }
    const { stdout } = await sandbox.commands.run('time getent hosts example.com || echo none');
    expect(stdout).toContain('none');
    expect(await outside.heard()).toEqual([]);
  });

  test('only allowed names are looked up, and any name server that the sandbox asks is ours', async () => {
    const sandbox = await create(only('allowed.test'));
    await outside.forget();
    expect((await lookup(sandbox, 'allowed.test')).answer).toBe(allowed);
    expect((await lookup(sandbox, 'data.evil.test')).answer).toBe('ENOTFOUND');
    const udp = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
s.sendto(bytes.fromhex('123401000001000000000000056f7468657204746573740000010001'), ('8.8.8.8', 53))
print(s.recv(512)[3] & 15)`;
    await sandbox.files.write('/tmp/udp.py', udp);
    expect((await sandbox.commands.run('python3 /tmp/udp.py')).stdout).toBe('3\n');
    expect(new Set(await outside.heard())).toEqual(new Set(['A allowed.test']));
  });
});

describe('changes', () => {
  test('a new policy is in effect when the call returns, and ends open connections that it forbids', async () => {
    const sandbox = await create();
    expect(await get(sandbox, 'http://other.test/')).toMatchObject({ localAddress: other });
    await sandbox.updateNetwork(only('allowed.test', `${other}:22`));
    expect(await get(sandbox, 'http://other.test/')).toBe('unreachable');
    expect(await get(sandbox, 'http://allowed.test/')).toMatchObject({ localAddress: allowed });
    await sandbox.files.write('/tmp/dial.py', dialer);
    const command = `python3 /tmp/dial.py ${other} 22 '' 60`;
    const held = await sandbox.commands.run(command, { background: true, timeoutMs: 0 });
    await until('the greeting', () => held.stdout.includes('hello first'));
    const startedAt = performance.now();
    await sandbox.updateNetwork(only('allowed.test'));
    const took = performance.now() - startedAt;
    await until('the end of the connection', () => held.stdout.includes('reset'));
    expect(took).toBeLessThan(1000);
    await sandbox.updateNetwork({});
    expect(await get(sandbox, 'http://other.test/')).toMatchObject({ localAddress: other });
  });

  test('a policy survives a pause, a restart of each process, and goes to a fork', async () => {
    const sandbox = await create(only('allowed.test'));
    const isKept = async (one: Sandbox): Promise<void> => {
      await until('the allowed name', async () => (await get(one, 'https://allowed.test/')) !== 'unreachable');
      expect(await get(one, 'https://other.test/')).toBe('unreachable');
    };
    await sandbox.pause();
    await sandbox.connect();
    await isKept(sandbox);
    for (const part of ['egress', 'runner'] as const) {
      const pid = findServerPart(server.pid, part) ?? 0;
      process.kill(pid, 'SIGKILL');
      await until(`the end of ${pid}`, () => (findServerPart(server.pid, part) ?? pid) !== pid);
      await until('the API', async () => (await api('GET', `/sandboxes/${sandbox.sandboxId}`)).status === 200);
      await isKept(sandbox);
    }
    // Of the runner, which was away for a moment.
    await until('the gap', async () => (await connectionsOf(sandbox)).some(({ reason }) => reason === 'log_gap'));
    const [copy] = await sandbox.fork();
    if (copy === undefined || copy instanceof Error) throw new Error('no copy', { cause: copy });
    try {
      await isKept(copy);
    } finally {
      await copy.kill();
    }
  }, 120_000);

  test('while the egress process is away, an inspected sandbox reaches nothing', async () => {
    const sandbox = await create(only('allowed.test'));
    expect(await get(sandbox, 'https://allowed.test/')).toMatchObject({ localAddress: allowed });
    const pid = findServerPart(server.pid, 'egress') ?? 0;
    process.kill(pid, 'SIGSTOP');
    try {
      expect(await get(sandbox, 'https://allowed.test/')).toBe('unreachable');
      expect(await get(sandbox, `http://${allowed}/`)).toBe('unreachable');
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  }, 60_000);

  test('a wrong policy is refused and leaves the old one, and a paused sandbox has none to change', async () => {
    const sandbox = await create(only('allowed.test'));
    const path = `/sandboxes/${sandbox.sandboxId}/network`;
    for (const body of [
      { allowOut: ['other.test'] },
      { allowOut: ['a.*.test'], denyOut: ['0.0.0.0/0'] },
      { allowOut: ['300.1.1.1'], denyOut: ['0.0.0.0/0'] },
      { denyOut: ['other.test'] },
      { allowOut: ['::/0'] },
      { allowOut: Array.from({ length: 10_000 }, (_, n) => `9.9.${n >> 8}.${n & 255}`) },
      { unknown: true },
    ])
      expect((await api('PUT', path, body)).status, JSON.stringify(body).slice(0, 80)).toBe(400);
    expect(await get(sandbox, 'https://other.test/')).toBe('unreachable');
    await sandbox.pause();
    expect((await api('PUT', path, {})).status).toBe(409);
    expect((await api('PUT', '/sandboxes/iunknown00000000000/network', {})).status).toBe(404);
  });

  test('a policy with a thousand entries works', async () => {
    const many = Array.from({ length: 499 }, (_, n) => [`9.${n % 250}.${n}.0/24:${1000 + n}`, `n${n}.test`]).flat();
    const sandbox = await create(
      only(...many.map((entry) => entry.replace(/\.(\d{3,})\.0\/24/, '.7.0/24')), 'allowed.test'),
    );
    expect(await get(sandbox, 'https://allowed.test/')).toMatchObject({ localAddress: allowed });
    expect(await get(sandbox, 'https://other.test/')).toBe('unreachable');
  });
});

describe('the record', () => {
  test('shows what was reached and what was refused, to its team', async () => {
    const sandbox = await create(only('*.test:443', `${other}:22`));
    await get(sandbox, 'https://allowed.test/');
    await get(sandbox, 'http://allowed.test/');
    await dial(sandbox, other, 22, '', 0.5);
    await sandbox.commands.run('getent hosts data.evil.example || true');
    const found = async (part: Partial<Connection>): Promise<void> => {
      await expect
        .poll(async () => await connectionsOf(sandbox), { timeout: 10_000 })
        .toContainEqual(expect.objectContaining(part));
    };
    await found({
      protocol: 'tls',
      name: 'allowed.test',
      address: allowed,
      port: 443,
      allowed: true,
      rule: '*.test:443',
    });
    await found({ protocol: 'tcp', address: allowed, port: 80, allowed: false, reason: 'denied', rule: '0.0.0.0/0' });
    await found({ protocol: 'tcp', address: other, port: 22, allowed: true, rule: `${other}:22`, bytesReceived: 12 });
    await found({ protocol: 'dns', name: 'data.evil.example', allowed: false });
    // The packet filter, which redirected them, records none of them a second time.
    await sandbox.kill();
    await sleep(1500);
    const ports = (await connectionsOf(sandbox)).map(({ port }) => port).filter((port) => port !== 53);
    expect(ports.sort()).toEqual([22, 443, 80]);
  });

  test('has what the packet filter judges alone: without a policy, and by addresses', async () => {
    const open = await create();
    const narrow = await create(only(`${other}:22`));
    await get(open, 'https://allowed.test/');
    await dial(open, privateAddress, 80, '', 0.2);
    await dial(narrow, other, 22, '', 0.5);
    await dial(narrow, allowed, 443, '', 0.2);
    await narrow.commands.run(`echo x > /dev/udp/${allowed}/123 || true`);
    const found = async (of: Sandbox, count: number): Promise<Partial<Connection>[]> => {
      await expect.poll(async () => (await connectionsOf(of)).length, { timeout: 10_000 }).toBe(count);
      return await connectionsOf(of);
    };
    const denied = { allowed: false, reason: 'denied', rule: '0.0.0.0/0', bytesSent: 0 };
    const ofNarrow = await found(narrow, 3);
    for (const part of [
      { protocol: 'tcp', address: other, port: 22, allowed: true, rule: `${other}:22` },
      { protocol: 'tcp', address: allowed, port: 443, ...denied },
      { protocol: 'udp', address: allowed, port: 123, ...denied },
    ])
      expect(ofNarrow).toContainEqual(expect.objectContaining(part));
    await found(open, 2);
    // The kernel still remembers the look-up, which ends with the sandbox.
    await open.kill();
    const ofOpen = await until('the look-up', async () => {
      const list = await connectionsOf(open);
      return list.some(({ protocol }) => protocol === 'udp') ? list : undefined;
    });
    const reached = ofOpen.find(({ port }) => port === 443);
    expect(reached).toMatchObject({ protocol: 'tcp', address: allowed, allowed: true });
    expect(reached?.name).toBeUndefined();
    expect(reached?.bytesReceived).toBeGreaterThan(500);
    for (const part of [
      { address: privateAddress, port: 80, allowed: false, reason: 'forbidden_address' },
      { protocol: 'udp', address: nameServer, port: 53, allowed: true },
    ])
      expect(ofOpen).toContainEqual(expect.objectContaining(part));
  });

  test('counts a flood instead of recording each connection, and misses nothing of another sandbox', async () => {
    const [loud, quiet] = await Promise.all([create(), create()]);
    const script = `import socket\nfor n in range(3000): socket.create_connection(('${other}', 22), 5).close()`;
    const flood = loud.commands.run(`python3 -c "${script}"`, { timeoutMs: 60_000 });
    await dial(quiet, other, 22, '', 0.3);
    await flood;
    const total = async (of: Sandbox): Promise<number> =>
      (await connectionsOf(of)).reduce((sum, { count = 1 }) => sum + count, 0);
    await expect.poll(async () => await total(loud), { timeout: 20_000, interval: 500 }).toBe(3000);
    expect((await connectionsOf(loud)).some(({ reason }) => reason === 'not_logged')).toBe(true);
    expect((await connectionsOf(loud)).length).toBeLessThan(2600);
    await expect.poll(async () => await total(quiet), { timeout: 10_000 }).toBe(1);
  }, 90_000);

  test('of a run with learn becomes a policy that allows the same and nothing else', async () => {
    const sandbox = await createWith({ learn: true });
    expect(await get(sandbox, 'https://allowed.test/')).toMatchObject({ localAddress: allowed });
    expect(await get(sandbox, 'http://private.test/')).toBe('unreachable');
    await dial(sandbox, other, 22, '', 0.5);
    const path = `/sandboxes/${sandbox.sandboxId}/network/learned`;
    const expected = { allowOut: ['allowed.test', `${other}:22`], denyOut: ['0.0.0.0/0'] };
    await expect
      .poll(async () => (await api('GET', path)).json, { timeout: 10_000 })
      .toMatchObject({ ...expected, allowOut: expect.arrayContaining(expected.allowOut) as string[] });
    const narrow = await create(expected);
    expect(await get(narrow, 'https://allowed.test/')).toMatchObject({ localAddress: allowed });
    expect(await get(narrow, 'https://other.test/')).toBe('unreachable');
  });
});

test('limits end what exceeds them', async () => {
  const sandbox = await createWith({ limits: { bytes: 300_000, connections: 3 } });
  const text = await dial(sandbox, allowed, 9000, '5000000\\n', 8);
  // The reset takes with it what was not read yet.
  expect(text.length).toBeGreaterThan(1000);
  expect(text.length).toBeLessThan(600_000);
  expect(text.slice(-7)).toMatch(/(reset|ended)\n$/);
  expect(await get(sandbox, `http://${allowed}/`)).toBe('unreachable');
  // What is used up stays used up: after a kill -9 of the processes that count, and after a pause.
  await killParts('egress', 'runner');
  const path = `/sandboxes/${sandbox.sandboxId}`;
  await until('the API', async () => (await api('GET', path)).status === 200);
  const counts = await createWith({ limits: { bytes: 300_000 } });
  await until('the next process', async () => (await get(counts, `http://${allowed}/`)) !== 'unreachable');
  expect(await get(sandbox, `http://${allowed}/`)).toBe('unreachable');
  expect((await dial(counts, allowed, 9000, '200000\\n', 8)).length).toBeGreaterThan(200_000);
  await counts.pause();
  await counts.connect();
  const rest = await dial(counts, allowed, 9000, '200000\\n', 8);
  expect(rest.length).toBeLessThan(110_000);
  expect(await get(counts, `http://${allowed}/`)).toBe('unreachable');
  // Datagrams would not be counted.
  const udp = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2); s.connect(('${nameServer}', 9))
try: s.send(b'x'); s.recv(9); print('answer')
except OSError as error: print(type(error).__name__)`;
  await sandbox.files.write('/tmp/udp.py', udp);
  expect((await sandbox.commands.run('python3 /tmp/udp.py')).stdout).toMatch(
    /^(ConnectionRefusedError|TimeoutError)\n$/,
  );
  // A policy that the kernel could judge alone has limits, too.
  const slow = await createWith({ denyOut: [third], limits: { bytesPerSecond: 100_000 } });
  const slowText = await dial(slow, allowed, 9000, '5000000\\n', 2);
  expect(slowText.length).toBeGreaterThan(100_000);
  expect(slowText.length).toBeLessThan(500_000);
  expect(slowText.slice(-5)).toBe('held\n');
  expect(await dial(slow, third, 9000, '1\\n', 2)).toBe('reset\n');
  const few = await createWith({ limits: { connections: 2 } });
  const three = await Promise.all([1, 2, 3].map(async () => await dial(few, other, 22, '', 3)));
  expect(three.map((end) => end.trim().split('\n').at(-1)).toSorted()).toEqual(['held', 'held', 'reset']);
});

describe('the egress process', () => {
  const statusOf = (field: string): string => {
    const text = readFileSync(`/proc/${findServerPart(server.pid, 'egress') ?? 0}/status`, 'utf8');
    return new RegExp(`^${field}:[ \\t]*(.*?)[ \\t]*$`, 'm').exec(text)?.[1] ?? '';
  };

  test('has a user of its own, no capabilities, a filter, and sees no files', () => {
    const id = String(userOf(instance, 'egress'));
    expect(statusOf('Uid').split('\t')).toEqual([id, id, id, id]);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      expect(statusOf(set)).toBe('0000000000000000');
    expect([statusOf('NoNewPrivs'), statusOf('Seccomp')]).toEqual(['1', '2']);
    const pid = findServerPart(server.pid, 'egress') ?? 0;
    expect(
      execFileSync('ls', [`/proc/${pid}/root/`])
        .toString()
        .split('\n')
        .filter(Boolean)
        .sort(),
    ).toEqual(['control', 'runner.sock']);
  });

  test('reaches with its user neither the host nor private networks, even if it is taken over', async () => {
    const listener = createServer((_request, response) => response.end('host'));
    listener.listen(0, '0.0.0.0');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    const id = String(userOf(instance, 'egress'));
    const run = async (...command: string[]): Promise<string> =>
      await promisify(execFile)('setpriv', ['--reuid', id, '--regid', id, '--clear-groups', ...command]).then(
        ({ stdout }) => stdout,
        () => 'refused',
      );
    const fetchAs = async (url: string): Promise<string> => await run('curl', '-gsS', '-m', '3', '--noproxy', '*', url);
    try {
      expect(await fetchAs(`http://${allowed}/`)).toContain(allowed);
      for (const address of ['127.0.0.1', outside.hostAddress, privateAddress, '[::1]'])
        expect(await fetchAs(`http://${address}:${address === privateAddress ? 80 : port}/`), address).toBe('refused');
    } finally {
      listener.close();
    }
  });

  test('no sandbox reaches its listener directly', async () => {
    const sandbox = await create();
    const address = `10.${200 + instance}.255.254`;
    for (const port of [5380, 5353]) expect(await dial(sandbox, address, port, '', 2)).toBe('reset\n');
  });
});
