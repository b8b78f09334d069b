import { connect } from 'node:net';
import { connect as connectHttp2 } from 'node:http2';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Code } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { asUser, createClients, runShell } from '../testing/clients.ts';
import { useEnvd } from '../testing/use-envd.ts';

const envd = useEnvd();

async function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return await fetch(`${envd().baseUrl}${path}`, { headers });
}

async function postInit(body: string, token: string): Promise<Response> {
  return await fetch(`${envd().baseUrl}/init`, { method: 'POST', headers: { 'x-soulbox-host-token': token }, body });
}

describe('POST /init', () => {
  test('requires the host token', async () => {
    for (const token of ['', 'wrong', envd().hostToken.slice(1), `${envd().hostToken}x`]) {
      expect((await postInit('{}', token)).status).toBe(401);
    }
  });

  test('sets variables, user and working directory, and the next call replaces them', async () => {
    const { process } = createClients(envd().baseUrl);
    await envd().init({
      envVars: { A: '1' },
      defaultUser: 'root',
      defaultWorkdir: '/etc',
      unknown: { x: 1 },
      volumeMounts: [],
    });
    expect((await runShell(process, 'echo $A; id -un; pwd')).stdout).toBe('1\nroot\n/etc\n');
    await envd().init({});
    expect((await runShell(process, 'echo $A; id -un; pwd')).stdout).toBe('\nuser\n/home/user\n');
  });

  test('publishes what identifies the sandbox as files, and no other variable, such as a key of the tenant', async () => {
    const { process } = createClients(envd().baseUrl);
    await envd().init({ envVars: { E2B_SANDBOX: 'true', E2B_API_KEY: 'no', 'E2B_../../tmp/x': 'no', OTHER: 'no' } });
    expect((await runShell(process, 'cd /run/e2b; ls -A; cat .E2B_SANDBOX')).stdout).toBe('.E2B_SANDBOX\ntrue');
  });

  test('still works after user code has emptied /run', async () => {
    const { process } = createClients(envd().baseUrl);
    await runShell(process, 'mv /run/soulbox /run/e2b /tmp/', asUser('root'));
    await envd().init({ envVars: { A: '2' } });
    await runShell(process, 'mv /tmp/soulbox /run/', asUser('root'));
  });

  test.each([
    '[]',
    '"x"',
    '{"envVars":[]}',
    '{"envVars":{"A":1}}',
    '{"envVars":{"A=B":"x"}}',
    '{"accessToken":5}',
    '{',
    '{"defaultUser":"a\\u0000b"}',
  ])('%s is a bad request and changes nothing', async (body) => {
    await envd().init({ envVars: { KEPT: 'yes' } });
    expect((await postInit(body, envd().hostToken)).status).toBe(400);
    expect(await (await get('/envs')).json()).toEqual({ KEPT: 'yes' });
  });

  test('an endless body is cut off', async () => {
    expect((await postInit('x'.repeat(3 * 1024 * 1024), envd().hostToken)).status).toBe(400);
  });
});

describe('the access token', () => {
  const token = { 'x-access-token': 'secret' };

  test('is required for everything except /health', async () => {
    await envd().init({ accessToken: 'secret' });
    expect((await get('/health')).status).toBe(204);
    for (const path of ['/metrics', '/envs']) {
      expect((await get(path)).status).toBe(401);
      expect((await get(path, { 'x-access-token': 'wrong' })).status).toBe(401);
      expect((await get(path, token)).status).toBe(200);
    }
  });

  test('is required for RPCs, and wrong ones are unauthenticated', async () => {
    await envd().init({ accessToken: 'secret' });
    for (const protocol of ['connect', 'grpc-web'] as const) {
      const options = { protocol, httpVersion: '1.1', useBinaryFormat: true } as const;
      const without = createClients(envd().baseUrl, options).process.list({});
      await expect(without).rejects.toMatchObject({ code: Code.Unauthenticated });
      await expect(createClients(envd().baseUrl, options, token).process.list({})).resolves.toBeDefined();
    }
  });
});

describe('the other endpoints', () => {
  test('GET /metrics returns every figure', async () => {
    const metrics = (await (await get('/metrics')).json()) as Record<string, number>;
    const names = [
      'cpu_count',
      'cpu_used_pct',
      'disk_total',
      'disk_used',
      'mem_cache',
      'mem_total',
      'mem_total_mib',
      'mem_used',
      'mem_used_mib',
      'ts',
    ];
    expect(Object.keys(metrics).sort()).toEqual(names);
    expect(Object.values(metrics).every(Number.isFinite)).toBe(true);
    expect(metrics['mem_total']).toBeGreaterThan(0);
  });

  test('GET /envs is not cached', async () => {
    expect((await get('/envs')).headers.get('cache-control')).toBe('no-store');
  });

  test('any origin may send requests', async () => {
    const response = await fetch(`${envd().baseUrl}/files`, { method: 'OPTIONS', headers: { origin: 'http://x' } });
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(response.headers.get('access-control-allow-methods')).toContain('PATCH');
  });

  test.each([
    '/nope',
    '/files/../nope',
    '/soulbox/logs',
    '/process.Process/Nope',
    '/%00',
    '//x',
    '//x/health',
    '//x/soulbox/logs',
    '/\\x/health',
    `/${'x'.repeat(10_000)}`,
  ])('%.30s is not found', async (path) => {
    expect((await get(path)).status).toBeOneOf([404, 405]);
  });

  test('the log tells the host about events, without output, values or tokens', async () => {
    const { process } = createClients(envd().baseUrl);
    await envd().init({ envVars: { V: 'hidden-value' }, accessToken: '' });
    await runShell(process, 'echo hidden-output');
    const response = await get('/soulbox/logs?after=0', { 'x-soulbox-host-token': envd().hostToken });
    const text = await response.text();
    expect(text).toContain('Process started');
    expect(text).not.toMatch(/hidden-/);
    const { entries } = JSON.parse(text) as { entries: { seq: number }[] };
    const last = entries.at(-1)?.seq ?? 0;
    const rest = await get(`/soulbox/logs?after=${last}`, { 'x-soulbox-host-token': envd().hostToken });
    expect(await rest.json()).toEqual({ entries: [] });
  });
});

describe('the output of commands', () => {
  interface Entry {
    readonly logger: string;
    readonly message: string;
    readonly fields: Readonly<Record<string, string>>;
  }
  const logged = async (): Promise<Entry[]> => {
    const response = await get('/soulbox/logs?after=0', { 'x-soulbox-host-token': envd().hostToken });
    return ((await response.json()) as { entries: Entry[] }).entries.filter(({ logger }) => logger === 'output');
  };

  test('is in the log if the host says so, by process and stream, for both protocols, without terminals', async () => {
    const { process, streams } = createClients(envd().baseUrl);
    await envd().init({ logOutput: true });
    await runShell(process, 'echo out-1; echo err-1 >&2');
    const started = await streams.start({ id: 'mine', command: { program: 'sh', args: ['-c', 'printf out-2'] } });
    await streams.wait({ processId: 'mine' });
    const terminal = { terminal: { cols: 80, rows: 24 } };
    await streams.start({ id: 'shown', command: { program: 'echo', args: ['in a terminal'] }, ...terminal });
    await streams.wait({ processId: 'shown' });
    const entries = await logged();
    const streamsOf = Object.fromEntries(entries.map(({ message, fields }) => [message, fields['stream']]));
    expect(streamsOf).toEqual({ 'out-1': 'stdout', 'err-1': 'stderr', 'out-2': 'stdout' });
    const fields = { process: 'mine', pid: String(started.process?.pid) };
    expect(entries.find(({ message }) => message === 'out-2')).toMatchObject({ fields });
  });

  test('of a process that runs on is no longer logged when a copy has other settings', async () => {
    const { streams } = createClients(envd().baseUrl);
    await envd().init({ logOutput: true });
    await streams.start({ id: 'long', command: { program: 'cat' }, hasInput: true });
    const say = async (text: string): Promise<unknown> =>
      await streams.write({ processId: 'long', writer: 'w', input: { data: Buffer.from(text) } });
    await say('before the copy\n');
    await expect.poll(async () => (await logged()).map(({ message }) => message)).toContain('before the copy');
    await envd().init({});
    await say('after the copy\n');
    await streams.closeInput({ processId: 'long' });
    await streams.wait({ processId: 'long' });
    expect((await logged()).map(({ message }) => message)).not.toContain('after the copy');
  });
});

describe('hostile connections', () => {
  async function sendRaw(bytes: string | Buffer): Promise<void> {
    const socket = connect(envd().port, '127.0.0.1');
    await once(socket, 'connect');
    socket.on('error', () => undefined);
    socket.end(bytes);
    await sleep(50);
    socket.destroy();
  }

  test.each([
    ['nothing', ''],
    ['noise', '\x00\x01\x02\xff'.repeat(1000)],
    ['half a preface', 'PRI * HT'],
    ['a preface and noise', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${'\xff'.repeat(1000)}`],
    ['a request line without end', `GET /${'x'.repeat(200_000)}`],
    ['two lengths', 'POST /init HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello'],
    [
      'length and chunks',
      'POST /init HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a broken chunk', 'POST /init HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
    [
      'a short body',
      'POST /files?path=a HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: 99\r\n\r\nabc',
    ],
    ['an upgrade', 'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
    ['CONNECT', 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a target that is no URL', 'GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['pipelined requests', 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(10_000)],
    ['an expectation', 'POST /init HTTP/1.1\r\nHost: x\r\nExpect: nonsense\r\nContent-Length: 2\r\n\r\n{}'],
  ])('%s causes no harm', async (_name, bytes) => {
    await sendRaw(Buffer.from(bytes, 'latin1'));
    expect((await get('/health')).status).toBe(204);
  });

  test('an HTTP/2 client that resets streams causes no harm', async () => {
    const session = connectHttp2(envd().baseUrl);
    session.on('error', () => undefined);
    for (let count = 0; count < 500; count += 1) {
      const stream = session.request({ ':path': '/metrics' });
      stream.on('error', () => undefined);
      stream.close(8);
    }
    await sleep(300);
    session.destroy();
    expect((await get('/health')).status).toBe(204);
  });

  test.each(['{', '{"path":5}', '[]', 'null', `{"path":"${'x'.repeat(20 * 1024 * 1024)}"}`, '{"path":"\\ud800"}'])(
    'the RPC body %.20s is rejected',
    async (body) => {
      const response = await fetch(`${envd().baseUrl}/filesystem.Filesystem/Stat`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      expect(response.status).toBeOneOf([400, 404, 429, 415]);
      expect((await get('/health')).status).toBe(204);
    },
  );
});
