import type { Sandbox } from 'e2b';
import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { ask, routes } from '../harness/http.ts';
import { createSandbox, sharedSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const sandbox = sharedSandbox();

/** A server inside that answers with the head of the request. */
const echoProgram = `import sys, http.server, socket
class Server(http.server.ThreadingHTTPServer):
  address_family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
class Handler(http.server.BaseHTTPRequestHandler):
  protocol_version = 'HTTP/1.1'
  def do_GET(self):
    body = (self.requestline + '\\n' + str(self.headers)).encode()
    self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers(); self.wfile.write(body)
  def do_POST(self):
    body = self.rfile.read(int(self.headers['Content-Length']))
    self.send_response(201); self.send_header('Content-Length', str(len(body))); self.end_headers(); self.wfile.write(body)
Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()`;

async function serve(inside: Sandbox, address: string, port: number): Promise<void> {
  await inside.files.write('/home/user/echo.py', echoProgram);
  await inside.commands.run(`python3 /home/user/echo.py '${address}' ${String(port)}`, {
    background: true,
    timeoutMs: 0,
  });
  await until('the port', async () => {
    const { stdout } = await inside.commands.run(`ss -Hltn sport = :${String(port)}`);
    return stdout !== '';
  });
}

const listeners = [
  ['0.0.0.0', 8001],
  ['127.0.0.1', 8002],
  ['::1', 8003],
  ['::', 8004],
] as const;

beforeAll(async () => {
  for (const [address, port] of listeners) await serve(sandbox(), address, port);
});

test.each(listeners)('a service on %s can be reached in both forms', async (_address, port) => {
  for (const form of ['host', 'headers'] as const) {
    const answer = await ask({ path: '/path?query=1', headers: routes[form](sandbox().sandboxId, port) });
    expect(answer.status, answer.body).toBe(200);
    expect(answer.body).toContain('GET /path?query=1 HTTP/1.1');
  }
});

test('getHost names the port and the sandbox', () => {
  expect(sandbox().getHost(8001)).toBe(`8001-${sandbox().sandboxId}.e2b.app`);
});

test('bodies pass both ways', async () => {
  const body = Buffer.alloc(3_000_000, 'ü');
  const headers = { ...routes.host(sandbox().sandboxId, 8002), 'content-length': String(body.length) };
  const answer = await ask({ method: 'POST', path: '/', headers, body });
  expect(answer.status).toBe(201);
  expect(Buffer.from(answer.body).equals(body)).toBe(true);
});

test('a large file from a service on loopback arrives completely, also at a reader that pauses', async () => {
  const make = 'mkdir -p /tmp/big && head -c 150000000 /dev/urandom > /tmp/big/file && sha256sum < /tmp/big/file';
  const [sha256] = (await sandbox().commands.run(make)).stdout.split(' ');
  await sandbox().commands.run('python3 -m http.server --bind 127.0.0.1 --directory /tmp/big 8005', {
    background: true,
    timeoutMs: 0,
  });
  const headers = routes.headers(sandbox().sandboxId, 8005);
  await until('the port', async () => (await ask({ path: '/', headers })).status === 200);
  const digest = createHash('sha256');
  await new Promise<void>((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port: server.port, path: '/file', headers, agent: false },
      (response) => {
        let paused = false;
        response.on('error', reject);
        response.on('end', resolve);
        response.on('data', (chunk: Buffer) => {
          digest.update(chunk);
          if (paused) return;
          paused = true;
          response.pause();
          setTimeout(() => response.resume(), 1_500);
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end();
  });
  expect(digest.digest('hex')).toBe(sha256);
});

test('a response in pieces is forwarded piece by piece', async () => {
  const program = `import socket, time
listener = socket.create_server(('127.0.0.1', 8006))
while True:
  peer, _ = listener.accept()
  peer.recv(65536)
  peer.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\nConnection: close\\r\\n\\r\\n')
  for n in range(3):
    peer.sendall(b'data: %d\\n\\n' % n); time.sleep(0.5)
  peer.close()`;
  await sandbox().files.write('/home/user/pieces.py', program);
  await sandbox().commands.run('python3 /home/user/pieces.py', { background: true, timeoutMs: 0 });
  const headers = routes.headers(sandbox().sandboxId, 8006);
  await until('the port', async () => (await ask({ path: '/', headers })).status === 200);
  const arrivals: number[] = [];
  await new Promise<void>((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port: server.port, path: '/', headers, agent: false }, (response) => {
      response.on('error', reject);
      response.on('end', resolve);
      response.on('data', () => arrivals.push(performance.now()));
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
  expect(arrivals.length).toBeGreaterThanOrEqual(3);
  expect((arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0)).toBeGreaterThan(700);
});

test('the service sees the host that the client asked for, and no header of the platform', async () => {
  const headers = { ...routes.headers(sandbox().sandboxId, 8002), 'x-own': 'kept', 'x-soulbox-host-token': 'forged' };
  const { body } = await ask({ path: '/', headers });
  expect(body).toMatch(/^X-Own: kept$/im);
  expect(body).not.toMatch(/e2b-sandbox|x-soulbox|e2b-traffic/i);
});

test.each(['host', 'headers'] as const)(
  'a port without a service answers 502 in its exact form, by %s',
  async (form) => {
    const { sandboxId } = sandbox();
    const answer = await ask({ path: '/', headers: routes[form](sandboxId, 9999) });
    expect(answer.status).toBe(502);
    expect(JSON.parse(answer.body)).toEqual({
      sandboxId,
      message: 'The sandbox is running but port is not open',
      port: 9999,
      code: 502,
    });
  },
);

test('a browser gets a page instead', async () => {
  const headers = { ...routes.host(sandbox().sandboxId, 9999), 'user-agent': 'Mozilla/5.0 Chrome/130' };
  const answer = await ask({ path: '/', headers });
  expect([answer.status, answer.headers['content-type']]).toEqual([502, 'text/html; charset=utf-8']);
});

async function echoWebSocket(form: 'host' | 'headers', payload: Buffer): Promise<Buffer> {
  const socket = new WebSocket(`ws://127.0.0.1:${String(server.port)}/`, {
    headers: routes[form](sandbox().sandboxId, 8090),
  });
  const answer = new Promise<Buffer>((resolve, reject) => {
    socket.on('message', (data: Buffer) => resolve(data));
    socket.on('error', reject);
  });
  socket.on('open', () => socket.send(payload));
  try {
    return await answer;
  } finally {
    socket.terminate();
  }
}

test('WebSockets pass in both forms, with small and large messages', async () => {
  const program = await readFile(join(import.meta.dirname, '../fixtures/websocket-echo.mjs'), 'utf8');
  await sandbox().files.write('/home/user/echo.mjs', program);
  await sandbox().commands.run('node /home/user/echo.mjs 8090', { background: true, timeoutMs: 0 });
  await until('the port', async () => (await sandbox().commands.run('ss -Hltn sport = :8090')).stdout !== '');
  for (const form of ['host', 'headers'] as const) {
    for (const payload of [Buffer.from('hello'), Buffer.alloc(300_000, 'x')]) {
      expect((await echoWebSocket(form, payload)).equals(payload)).toBe(true);
    }
  }
});

test('a kill closes an open WebSocket', async () => {
  const other = await createSandbox();
  const program = await readFile(join(import.meta.dirname, '../fixtures/websocket-echo.mjs'), 'utf8');
  await other.files.write('/home/user/echo.mjs', program);
  await other.commands.run('node /home/user/echo.mjs 8090', { background: true, timeoutMs: 0 });
  await until('the port', async () => (await other.commands.run('ss -Hltn sport = :8090')).stdout !== '');
  const socket = new WebSocket(`ws://127.0.0.1:${String(server.port)}/`, {
    headers: routes.host(other.sandboxId, 8090),
  });
  await new Promise((resolve) => socket.once('open', resolve));
  const closed = new Promise<number>((resolve) => {
    socket.once('close', resolve);
    socket.on('error', () => undefined);
  });
  await other.kill();
  expect(await closed).toBe(1006);
});

test('a sandbox without public traffic requires its token, except for envd', async () => {
  const guarded = await createSandbox({ network: { allowPublicTraffic: false } });
  const token = guarded.trafficAccessToken ?? '';
  expect(token).toMatch(/./);
  await serve(guarded, '0.0.0.0', 8001);
  const headers = routes.host(guarded.sandboxId, 8001);
  for (const wrong of [{}, { 'e2b-traffic-access-token': 'wrong' }, { 'e2b-traffic-access-token': '' }]) {
    const answer = await ask({ path: '/', headers: { ...headers, ...wrong } });
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.body)).toMatchObject({ sandboxId: guarded.sandboxId, code: 403 });
  }
  const right = await ask({ path: '/', headers: { ...headers, 'e2b-traffic-access-token': token } });
  expect(right.status).toBe(200);
  expect(right.body).not.toContain(token);
  expect((await guarded.commands.run('echo envd')).stdout).toBe('envd\n');
});

test('maskRequestHost changes the host that the service sees', async () => {
  const masked = await createSandbox({ network: { maskRequestHost: 'localhost:${PORT}' } });
  await serve(masked, '127.0.0.1', 8001);
  const { body } = await ask({ path: '/', headers: routes.host(masked.sandboxId, 8001) });
  expect(body).toMatch(/^Host: localhost:8001$/im);
});

test('httpsPorts are reached with TLS, whose certificate is not checked', async () => {
  const own = await createSandbox({ network: { httpsPorts: [8443] } });
  const certificate = await own.commands.run(
    "cd /tmp && openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj '/CN=own' -keyout key.pem -out cert.pem",
  );
  expect(certificate.exitCode).toBe(0);
  const secure = echoProgram
    .replace('Server((', 's = Server((')
    .replace('.serve_forever()', '')
    .concat(
      `\nimport ssl; c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain('/tmp/cert.pem', '/tmp/key.pem')`,
      `\ns.socket = c.wrap_socket(s.socket, server_side=True); s.serve_forever()`,
    );
  await own.files.write('/tmp/secure.py', secure);
  for (const port of [8443, 8444])
    await own.commands.run(`python3 /tmp/secure.py 0.0.0.0 ${port}`, { background: true, timeoutMs: 0 });
  const statusOf = async (port: number) => (await ask({ path: '/', headers: routes.host(own.sandboxId, port) })).status;
  await until('the service', async () => (await statusOf(8443)) === 200);
  expect(await statusOf(8444)).not.toBe(200);
  expect((await own.getInfo()).network).toMatchObject({ httpsPorts: [8443] });
});

test('a request waits for a service that starts a moment later', async () => {
  await sandbox().commands.run('sleep 0.15; exec python3 /home/user/echo.py 127.0.0.1 8055', {
    background: true,
    timeoutMs: 0,
  });
  const answer = await ask({ path: '/', headers: routes.host(sandbox().sandboxId, 8055) });
  expect(answer.status).toBe(200);
});
