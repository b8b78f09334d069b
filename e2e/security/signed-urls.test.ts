import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, askApi } from '../harness/http.ts';
import type { Answer } from '../harness/http.ts';
import { sharedSandbox } from '../harness/sandbox.ts';
import { apiUrl, server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const sandbox = sharedSandbox();

async function sign(body: object): Promise<string> {
  const { status, json } = await askApi('POST', '/signed-urls', body);
  expect([status, json]).toEqual([201, expect.anything()]);
  return (json as { url: string }).url;
}

/** The address of a port by a path, as a machine without wildcard DNS needs it. */
const portPath = (port: number, path: string): string => `/sandboxes-http/${port}-${sandbox().sandboxId}${path}`;
const filePath = (query: Record<string, string>): string =>
  portPath(49983, `/files?${new URLSearchParams(query).toString()}`);
const hostUrl = (port: number, path: string): string =>
  `http://${port}-${sandbox().sandboxId}.soulbox.localhost:${server.port}${path}`;

/** Node cannot resolve names below `localhost`, so the host is sent as a header. */
async function askHost(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  const { host, pathname, search } = new URL(url);
  return await ask({ path: pathname + search, headers: { host, ...headers } });
}

const bytes = { 'content-type': 'application/octet-stream' };

describe('a signed URL of a file', () => {
  test('reads it without a key, in path form and in host form', async () => {
    await sandbox().files.write('/home/user/a b.txt', 'for the holder');
    const query = { path: '/home/user/a b.txt', username: 'user' };
    const byPath = await fetch(await sign({ url: filePath(query) }));
    expect([byPath.status, await byPath.text()]).toEqual([200, 'for the holder']);
    const byHost = await sign({ url: hostUrl(49983, `/files?${new URLSearchParams(query).toString()}`) });
    expect(await askHost(byHost)).toMatchObject({ status: 200, body: 'for the holder' });
    expect((await fetch(byHost.replace(/^http:\/\/[^/]*/, apiUrl))).status).toBe(404);
  });

  test('opens no other file and nothing else of envd', async () => {
    const url = await sign({ url: filePath({ path: '/home/user/a b.txt' }) });
    expect((await fetch(url)).status).toBe(200);
    const changes = [
      url.replace('a%20b', 'a%20c'),
      `${url}&username=root`,
      url.replace('/files?', '/files/compose?'),
      url.replace('/files?', '/metrics?'),
      url.replace('49983-', '8080-'),
      url.replace('/files?', '/%66iles?').replace('a%20b', '%61%20c'),
    ];
    expect(changes).not.toContain(url);
    for (const changed of changes) expect([changed, (await fetch(changed)).status]).toEqual([changed, 401]);
    expect((await fetch(url, { method: 'POST', headers: bytes, body: 'x' })).status).toBe(401);
  });

  test('uploads into a folder, with a type, and not beside it', async () => {
    const folder = '/home/user/in/';
    const limits = { method: 'POST', prefix: true, contentType: 'application/octet-stream' };
    const url = await sign({ url: filePath({ path: folder, username: 'user' }), ...limits });
    const at = (path: string): string => {
      const changed = new URL(url);
      changed.searchParams.set('path', path);
      return changed.href;
    };
    expect((await fetch(at(`${folder}one two.bin`), { method: 'POST', headers: bytes, body: '1' })).status).toBe(200);
    expect(await sandbox().files.read(`${folder}one two.bin`)).toBe('1');
    for (const path of ['/home/user/x', `${folder}../x`, '/etc/passwd', folder, 'x'])
      expect([path, (await fetch(at(path), { method: 'POST', headers: bytes, body: 'x' })).status]).toEqual([
        path,
        400,
      ]);
    const form = new FormData();
    form.append('file', new Blob(['x']), 'x');
    expect((await fetch(at(`${folder}form`), { method: 'POST', body: form })).status).toBe(415);
    expect(await sandbox().files.exists('/home/user/x')).toBe(false);
  });

  test('limits the size of an upload while it arrives: never more than that is stored', async () => {
    const path = '/home/user/limited.bin';
    const url = await sign({ url: filePath({ path, username: 'user' }), method: 'POST', maxBytes: 200_000 });
    const outgoing = httpRequest(url, { method: 'POST', headers: bytes });
    outgoing.on('error', () => undefined);
    const answered = once(outgoing, 'response') as Promise<[{ statusCode?: number; resume(): void }]>;
    for (let n = 0; n < 10; n++) outgoing.write(Buffer.alloc(64 * 1024));
    const [answer] = await answered;
    answer.resume();
    outgoing.destroy();
    expect(answer.statusCode).toBe(413);
    // As after every upload that breaks off, the file may have what had arrived.
    const { stdout } = await sandbox().commands.run(`stat -c %s ${path} || echo 0`);
    expect(Number(stdout)).toBeLessThanOrEqual(200_000);
    const fits = await fetch(url, { method: 'POST', headers: bytes, body: Buffer.alloc(200_000) });
    expect(fits.status).toBe(200);
    expect((await sandbox().files.read(path, { format: 'bytes' })).byteLength).toBe(200_000);
  });

  test('stays valid beside the signatures of the clients', async () => {
    await sandbox().files.write('both.txt', 'both');
    expect(await (await fetch(await sandbox().downloadUrl('both.txt'))).text()).toBe('both');
    expect(await (await fetch(await sign({ url: filePath({ path: '/home/user/both.txt' }) }))).text()).toBe('both');
    const mixed = new URL(await sandbox().downloadUrl('both.txt'));
    mixed.searchParams.set('soulbox-key', 'sabcdefghijkl');
    expect((await fetch(mixed)).status).toBe(400);
  });
});

/** Sends the beginning of an answer, and waits. */
const endlessServer = `import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('content-length', '100')
        self.end_headers()
        self.wfile.write(b'x')
        self.wfile.flush()
        time.sleep(60)
ThreadingHTTPServer(('0.0.0.0', 8001), Handler).serve_forever()
`;

describe('a signed URL of a port', () => {
  let closed: Sandbox;
  beforeAll(async () => {
    closed = await Sandbox.create({ network: { allowPublicTraffic: false } });
    await closed.files.write('/home/user/site/a/page.txt', 'page');
    await closed.commands.run('python3 -m http.server 8000 --directory /home/user/site', { background: true });
    const headers = { 'e2b-traffic-access-token': closed.trafficAccessToken ?? '' };
    const path = `8000-${closed.sandboxId}.soulbox.localhost`;
    await until(
      'the server answers',
      async () => (await ask({ path: '/', headers: { host: path, ...headers } })).status === 200,
    );
  });
  afterAll(async () => {
    await closed.kill();
  });
  const url = (path: string): string => `/sandboxes-http/8000-${closed.sandboxId}${path}`;

  test('needs no traffic token, while the port itself does', async () => {
    const host = `8000-${closed.sandboxId}.soulbox.localhost:${server.port}`;
    expect((await ask({ path: '/a/page.txt', headers: { host } })).status).toBe(403);
    expect(await (await fetch(await sign({ url: url('/a/page.txt') }))).text()).toBe('page');
    expect((await askHost(await sign({ url: `http://${host}/a/page.txt` }))).body).toBe('page');
    expect((await fetch(apiUrl + url('/a/page.txt'))).status).toBe(404);
  });

  test('can be signed for a folder of its paths', async () => {
    const folder = await sign({ url: url('/a/'), prefix: true });
    expect(await (await fetch(folder.replace('/a/?', '/a/page.txt?'))).text()).toBe('page');
    expect((await fetch(folder.replace('/a/?', '/?'))).status).toBe(400);
    expect((await ask({ path: folder.slice(apiUrl.length).replace('/a/?', '/a/%2e%2e/?') })).status).toBe(400);
  });

  test('can be used by exactly one of 50 clients at the same moment', async () => {
    const once = await sign({ url: url('/a/page.txt'), once: true });
    const statuses = await Promise.all(Array.from({ length: 50 }, async () => (await fetch(once)).status));
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 409)).toHaveLength(49);
  });

  test('is limited to the addresses of its clients', async () => {
    const status = async (addresses: string[]) => (await fetch(await sign({ url: url('/'), addresses }))).status;
    expect(await status(['127.0.0.0/8', '::1/128'])).toBe(200);
    expect(await status(['192.0.2.0/24', '2001:db8::/32'])).toBe(403);
  });

  test('ends with the key through which it was signed', async () => {
    const made = await askApi('POST', '/api-keys', { name: 'short' });
    const { id, key } = made.json as { id: string; key: string };
    const signed = await askApi('POST', '/signed-urls', { url: url('/a/page.txt') }, { 'x-api-key': key });
    const target = (signed.json as { url: string }).url;
    expect((await fetch(target)).status).toBe(200);
    expect((await askApi('DELETE', `/api-keys/${id}`)).status).toBe(204);
    expect((await fetch(target)).status).toBe(401);
  });

  test('ends with its signing key, after the overlap, and so does a download in progress', async () => {
    await closed.files.write('/home/user/hold.py', endlessServer);
    await closed.commands.run('python3 /home/user/hold.py', { background: true });
    const endless = await sign({ url: `/sandboxes-http/8001-${closed.sandboxId}/` });
    const opened: Response[] = [];
    await until('it answers', async () => {
      const answer = await fetch(endless);
      if (answer.status === 200) opened.push(answer);
      return answer.status === 200;
    });
    const before = await sign({ url: url('/a/page.txt') });
    expect((await askApi('POST', '/signing-keys', { overlapSeconds: 1 })).status).toBe(201);
    expect((await fetch(before)).status).toBe(200);
    await until('the overlap ends', async () => (await fetch(before)).status === 401);
    const endedAt = Date.now();
    const outcome = await opened[0]?.text().then(
      () => 'complete',
      () => 'cut off',
    );
    expect([outcome, Date.now() - endedAt < 3000]).toEqual(['cut off', true]);
    expect((await fetch(await sign({ url: url('/a/page.txt') }))).status).toBe(200);
  });
});

test('a signed URL of a log works without a key', async () => {
  const url = await sign({ url: `/sandboxes/${sandbox().sandboxId}/logs?limit=1` });
  const answer = await fetch(url);
  expect([answer.status, await answer.json()]).toEqual([
    200,
    { logs: expect.any(Array) as unknown[], logEntries: expect.any(Array) as unknown[] },
  ]);
  expect((await fetch(url.replace('limit=1', 'limit=2'))).status).toBe(401);
});
