import { readFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { sleep } from '@soulbox/base';
import { fileSignature } from '@soulbox/contract';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { asUser, createClients, runShell } from '../testing/clients.ts';
import type { TestEnvd } from '../testing/start-envd.ts';
import { startEnvd } from '../testing/start-envd.ts';
import { findTestRoot } from '../testing/test-root.ts';

let envd: TestEnvd;

beforeAll(async () => {
  envd = await startEnvd(await findTestRoot());
});

afterAll(async () => {
  await envd[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await envd.init({});
});

const octetStream = { 'content-type': 'application/octet-stream' };

function url(query: Record<string, string>): string {
  return `${envd.baseUrl}/files?${new URLSearchParams(query).toString()}`;
}

async function upload(
  path: string,
  body: BodyInit,
  headers: Record<string, string> = {},
  query: Record<string, string> = {},
) {
  return await fetch(url({ path, ...query }), { method: 'POST', headers: { ...octetStream, ...headers }, body });
}

async function download(path: string, headers: Record<string, string> = {}, query: Record<string, string> = {}) {
  return await fetch(url({ path, ...query }), { headers });
}

/** A request without fetch, which would decode gzip automatically. */
async function rawGet(path: string, headers: Record<string, string>) {
  return await new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: Buffer }>(
    (resolve, reject) => {
      const sent = httpRequest(url({ path }), { headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
        );
      });
      sent.on('error', reject);
      sent.end();
    },
  );
}

const insideUpper = (path: string): string => join(envd.upperDirectory, path);

async function shell(line: string): Promise<string> {
  return (await runShell(createClients(envd.baseUrl).process, line, asUser('root'))).stdout;
}

describe('uploading', () => {
  test('a file is created in the home with its parents, owned by the user', async () => {
    const response = await upload('deep/er/hello.txt', 'hello');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual([{ path: '/home/user/deep/er/hello.txt', name: 'hello.txt', type: 'file' }]);
    expect(await shell('cd /home/user; stat -c "%U:%G %a %n" deep deep/er deep/er/hello.txt')).toBe(
      'user:user 755 deep\nuser:user 755 deep/er\nuser:user 644 deep/er/hello.txt\n',
    );
    expect(await readFile(insideUpper('home/user/deep/er/hello.txt'), 'utf8')).toBe('hello');
  });

  test('an existing file is replaced and gets the new owner', async () => {
    await upload('/tmp/owned', 'something long', {}, { username: 'root' });
    await upload('/tmp/owned', 'short');
    expect(await shell('stat -c %U /tmp/owned; cat /tmp/owned')).toBe('user\nshort');
  });

  test('several files are sent as multipart, each with its own path', async () => {
    const form = new FormData();
    form.append('file', new Blob(['one']), '/tmp/multi/a.txt');
    form.append('file', new Blob(['two']), 'multi/ü b.txt');
    form.append('note', 'not a file');
    form.append('other', new Blob(['three']), '/tmp/multi/ignored');
    const response = await fetch(`${envd.baseUrl}/files`, { method: 'POST', body: form });
    expect(await response.json()).toEqual([
      { path: '/tmp/multi/a.txt', name: 'a.txt', type: 'file' },
      { path: '/home/user/multi/ü b.txt', name: 'ü b.txt', type: 'file' },
    ]);
    expect(await shell('cat /tmp/multi/* "/home/user/multi/ü b.txt"')).toBe('onetwo');
  });

  test('the path of the query has priority over the name of a part', async () => {
    const form = new FormData();
    form.append('file', new Blob(['x']), '/tmp/other');
    const response = await fetch(url({ path: '/tmp/named' }), { method: 'POST', body: form });
    expect(await response.json()).toEqual([{ path: '/tmp/named', name: 'named', type: 'file' }]);
  });

  test('a part named file needs no file name if the query has the path', async () => {
    const form = new FormData();
    form.append('file', 'content');
    const response = await fetch(url({ path: '/tmp/plain' }), { method: 'POST', body: form });
    expect(await response.json()).toEqual([{ path: '/tmp/plain', name: 'plain', type: 'file' }]);
    expect(await shell('cat /tmp/plain')).toBe('content');
  });

  test('a part named file with neither a file name nor a path is rejected instead of silently dropped', async () => {
    const form = new FormData();
    form.append('file', 'content');
    const response = await fetch(`${envd.baseUrl}/files`, { method: 'POST', body: form });
    expect([response.status, await response.json()]).toEqual([
      400,
      { code: 400, message: 'A part named "file" needs a file name, or the query needs a path.' },
    ]);
  });

  test('any kind of multipart is accepted', async () => {
    const part = '--b\r\nContent-Disposition: form-data; name="file"; filename="/tmp/mixed"\r\n\r\nmixed\r\n--b--\r\n';
    const headers = { 'content-type': 'multipart/mixed; boundary=b' };
    const response = await fetch(`${envd.baseUrl}/files`, { method: 'POST', headers, body: part });
    expect(response.status).toBe(200);
    expect(await shell('cat /tmp/mixed')).toBe('mixed');
  });

  test('two parts with one path are rejected', async () => {
    const form = new FormData();
    form.append('file', new Blob(['x']), '/tmp/twice');
    form.append('file', new Blob(['y']), '/tmp/../tmp/twice');
    const response = await fetch(`${envd.baseUrl}/files`, { method: 'POST', body: form });
    expect(response.status).toBe(400);
  });

  test('a gzipped body is decompressed, in both forms', async () => {
    expect((await upload('/tmp/gz', gzipSync('packed'), { 'content-encoding': 'gzip' })).status).toBe(200);
    const boundary = 'limit';
    const part = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="/tmp/gz2"\r\n\r\npacked too\r\n--${boundary}--\r\n`;
    const headers = { 'content-type': `multipart/form-data; boundary=${boundary}`, 'content-encoding': 'gzip' };
    const response = await fetch(`${envd.baseUrl}/files`, { method: 'POST', headers, body: gzipSync(part) });
    expect(response.status).toBe(200);
    expect(await shell('cat /tmp/gz /tmp/gz2')).toBe('packedpacked too');
  });

  test('metadata is stored with the file, replaced as a whole, and returned by Stat', async () => {
    const { filesystem } = createClients(envd.baseUrl);
    const response = await upload('/tmp/meta', 'x', { 'X-Metadata-Owner': 'Ann', 'x-metadata-empty': '' });
    expect(await response.json()).toEqual([
      { path: '/tmp/meta', name: 'meta', type: 'file', metadata: { owner: 'Ann', empty: '' } },
    ]);
    expect((await filesystem.stat({ path: '/tmp/meta' })).entry?.metadata).toEqual({ owner: 'Ann', empty: '' });
    await upload('/tmp/meta', 'y', { 'x-metadata-other': '1' });
    expect((await filesystem.stat({ path: '/tmp/meta' })).entry?.metadata).toEqual({ other: '1' });
    await upload('/tmp/meta', 'z');
    expect((await filesystem.stat({ path: '/tmp/meta' })).entry?.metadata).toEqual({});
  });

  test.each([
    ['no path', '', {}, 'x'],
    ['a directory', '/tmp', {}, 'x'],
    ['a device', '/dev/null', {}, 'x'],
    ['a NUL', '/tmp/a\0b', {}, 'x'],
    ['a path beyond PATH_MAX', `/tmp/${'x'.repeat(10_000)}`, {}, 'x'],
    ['a name beyond NAME_MAX', `/tmp/${'x'.repeat(300)}`, {}, 'x'],
    ['a file as a directory', '/etc/passwd/x', {}, 'x'],
    ['the runtime folder itself', '/.soulbox', {}, 'x'],
    ['an unknown coding', '/tmp/x', { 'content-encoding': 'br' }, 'x'],
    ['a body that is no gzip', '/tmp/x', { 'content-encoding': 'gzip' }, 'no gzip'],
    ['an unknown type', '/tmp/x', { 'content-type': 'text/plain' }, 'x'],
    ['multipart without a boundary', '/tmp/x', { 'content-type': 'multipart/form-data' }, 'x'],
    [
      'multipart that ends early',
      '/tmp/x',
      { 'content-type': 'multipart/form-data; boundary=b' },
      '--b\r\nContent-Disp',
    ],
    ['metadata that is not printable', '/tmp/x', { 'x-metadata-k': 'a\tb' }, 'x'],
    ['too much metadata', '/tmp/x', { 'x-metadata-k': 'x'.repeat(5000) }, 'x'],
  ])('%s is a bad request', async (_name, path, headers, body) => {
    const response = await upload(path, body, headers);
    expect(response.status).toBe(400);
    expect(Object.keys((await response.json()) as object).sort()).toEqual(['code', 'message']);
  });

  test('nothing can be written into the envd bundle', async () => {
    expect((await upload('/.soulbox/envd', 'x')).status).toBe(403);
  });

  test('a full disk answers 507, and the connection survives for the next request', async () => {
    const response = await upload('/small/big', randomBytes(8 * 1024 * 1024));
    expect(response.status).toBe(507);
    expect(await response.json()).toMatchObject({ code: 507 });
    expect((await fetch(`${envd.baseUrl}/health`)).status).toBe(204);
    await shell('rm /small/*');
  });

  test('a full disk answers 507 to multipart, too', async () => {
    const form = new FormData();
    form.append('file', new Blob([randomBytes(8 * 1024 * 1024)]), '/small/big');
    form.append('file', new Blob(['x']), '/tmp/after');
    expect((await fetch(`${envd.baseUrl}/files`, { method: 'POST', body: form })).status).toBe(507);
    await shell('rm /small/*');
  });

  test('a client that leaves during an upload causes no harm', async () => {
    const abort = new AbortController();
    const body = new ReadableStream({
      async pull(controller) {
        await sleep(20);
        controller.enqueue(randomBytes(1000));
      },
    });
    const init = { method: 'POST', headers: octetStream, body, duplex: 'half', signal: abort.signal };
    const left = fetch(url({ path: '/tmp/left' }), init).catch(() => 'left');
    await sleep(200);
    abort.abort();
    expect(await left).toBe('left');
    await expect.poll(async () => await shell('ls -l /proc/1/fd | grep -c /tmp/left || true')).toBe('0\n');
  });
});

describe('planted links', () => {
  test('are followed only within the sandbox, and loops are an error', async () => {
    await shell(
      'ln -sf /proc/self/root/etc/passwd /tmp/l1; ln -sf loop2 /tmp/loop1; ln -sf loop1 /tmp/loop2; ln -sf /nowhere/x /tmp/dangling',
    );
    expect(await (await download('/tmp/l1')).text()).toContain('user:x:1000');
    expect((await download('/tmp/loop1')).status).toBe(409);
    expect((await upload('/tmp/loop1', 'x')).status).toBe(409);
    expect((await download('/tmp/dangling')).status).toBe(404);
    expect((await upload('/tmp/dangling', 'x')).status).toBe(404);
  });
});

describe('downloading', () => {
  test('the bytes are sent with type, name, date and length', async () => {
    await upload('hello world.html', '<p>hi</p>');
    const response = await download('hello world.html');
    expect(await response.text()).toBe('<p>hi</p>');
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'content-disposition': 'inline; filename="hello world.html"',
      'content-length': '9',
      vary: 'Accept-Encoding',
      'last-modified': expect.stringMatching(/GMT$/) as string,
      'access-control-allow-origin': '*',
    });
  });

  test('an empty file has length 0', async () => {
    await upload('empty', '');
    const response = await download('empty');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-length')).toBe('0');
    expect(await response.text()).toBe('');
  });

  test('HEAD returns only the headers', async () => {
    await upload('head', 'x'.repeat(1000));
    const response = await fetch(url({ path: 'head' }), { method: 'HEAD' });
    expect(response.headers.get('content-length')).toBe('1000');
    expect(await response.text()).toBe('');
  });

  test('files in /proc can be read although they report to be empty', async () => {
    expect(await (await download('/proc/version')).text()).toMatch(/^Linux version/);
  });

  test('a range, an invalid range, and a range of an outdated file', async () => {
    await upload('digits', '0123456789');
    const part = await download('digits', { range: 'bytes=2-4' });
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 2-4/10', '234']);
    expect((await download('digits', { range: 'bytes=10-' })).status).toBe(416);
    const old = await download('digits', { range: 'bytes=2-4', 'if-range': 'Thu, 01 Jan 1970 00:00:00 GMT' });
    expect([old.status, await old.text()]).toEqual([200, '0123456789']);
  });

  test('an unchanged file is not sent again', async () => {
    await upload('digits', '0123456789');
    const date = (await download('digits')).headers.get('last-modified') ?? '';
    expect((await download('digits', { 'if-modified-since': date })).status).toBe(304);
    expect((await download('digits', { 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' })).status).toBe(412);
  });

  test('gzip is used if it is preferred, and no acceptable encoding is 406', async () => {
    const text = 'compress me '.repeat(10_000);
    await upload('text', text);
    const packed = await rawGet('text', { 'accept-encoding': 'gzip' });
    expect(packed.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(packed.body).toString()).toBe(text);
    const plain = await rawGet('text', { 'accept-encoding': 'gzip, deflate' });
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect((await rawGet('text', { 'accept-encoding': 'br, identity;q=0' })).status).toBe(406);
    const range = await rawGet('text', { 'accept-encoding': 'gzip', range: 'bytes=0-7' });
    expect([range.headers['content-encoding'], range.body.toString()]).toEqual([undefined, 'compress']);
  });

  test.each([
    ['a directory', '/tmp', 400, "path '/tmp' is a directory"],
    ['an endless device', '/dev/zero', 400, "path '/dev/zero' is not a regular file"],
    ['a missing file', 'nope/x', 404, "path '/home/user/nope/x' does not exist"],
    ['a path through a file', '/etc/passwd/x', 400, "a part of path '/etc/passwd/x' is not a directory"],
    ['a NUL', 'a\0b', 400, 'A path must not contain a NUL.'],
    ['climbing out', '../../../../../../nope', 404, "path '/nope' does not exist"],
    ['a newline', 'a\nb', 404, "path '/home/user/a\nb' does not exist"],
  ])('%s', async (_name, path, code, message) => {
    const response = await download(path);
    expect(response.status).toBe(code);
    expect(await response.json()).toEqual({ code, message });
  });

  test('a FIFO is rejected at once', async () => {
    await shell('mkfifo -m 666 /tmp/fifo');
    expect((await download('/tmp/fifo')).status).toBe(400);
    expect((await upload('/tmp/fifo', 'x')).status).toBe(400);
  });

  test('an unknown user is 401', async () => {
    const response = await download('x', {}, { username: 'nobody-here' });
    expect([response.status, await response.json()]).toEqual([
      401,
      { code: 401, message: "invalid username: 'nobody-here'" },
    ]);
  });

  test('an empty path is the default working directory, and ~ is the home', async () => {
    await envd.init({ defaultWorkdir: '/etc' });
    expect(await (await download('')).json()).toMatchObject({ message: "path '/etc' is a directory" });
    expect(await (await download('~')).json()).toMatchObject({ message: "path '/home/user' is a directory" });
  });
});

describe('access', () => {
  const token = 'the-token';

  test('a token, or a signature of the exact request, is required once a token is set', async () => {
    await upload('signed', 'secret');
    await envd.init({ accessToken: token });
    const signature = fileSignature({ path: 'signed', operation: 'read', username: '', expiration: undefined }, token);
    expect((await download('signed')).status).toBe(401);
    expect((await download('signed', { 'x-access-token': 'wrong' }, { signature })).status).toBe(401);
    expect((await download('signed', { 'x-access-token': token })).status).toBe(200);
    expect((await download('signed', {}, { signature })).status).toBe(200);
    expect((await download('other', {}, { signature })).status).toBe(401);
    expect((await upload('signed', 'x', {}, { signature })).status).toBe(401);
    expect((await download('signed', {}, { signature, signature_expiration: '99999999999' })).status).toBe(401);
  });
});

describe('composing', () => {
  async function compose(body: unknown): Promise<Response> {
    return await fetch(`${envd.baseUrl}/files/compose`, { method: 'POST', body: JSON.stringify(body) });
  }

  test('files are joined in order and deleted', async () => {
    for (const [name, text] of Object.entries({ p1: 'one ', p2: 'two ', p3: 'three' }))
      await upload(`/tmp/${name}`, text);
    const response = await compose({ source_paths: ['/tmp/p1', '/tmp/p2', '/tmp/p3'], destination: 'joined/all' });
    expect([response.status, await response.json()]).toEqual([
      200,
      { path: '/home/user/joined/all', name: 'all', type: 'file' },
    ]);
    expect(await shell('cat /home/user/joined/all; ls /tmp | grep -c "^p[123]$" || true')).toBe('one two three0\n');
  });

  test('a missing source leaves everything unchanged', async () => {
    await upload('/tmp/q1', 'one');
    await upload('/tmp/target', 'before');
    expect((await compose({ source_paths: ['/tmp/q1', '/tmp/nope'], destination: '/tmp/target' })).status).toBe(404);
    expect(await shell('cat /tmp/q1 /tmp/target')).toBe('onebefore');
  });

  test.each([
    [{}],
    [[]],
    ['text'],
    [{ source_paths: [], destination: '/tmp/x' }],
    [{ source_paths: 'a', destination: '/tmp/x' }],
    [{ source_paths: [1], destination: '/tmp/x' }],
    [{ source_paths: ['/tmp/a'] }],
    [{ source_paths: ['/tmp/a'], destination: '/tmp/./a' }],
    [{ source_paths: ['/dev/zero'], destination: '/tmp/x' }],
  ])('%j is a bad request', async (body) => {
    expect((await compose(body)).status).toBe(400);
  });
});

describe('large files', () => {
  const sizeBytes = 1024 * 1024 * 1024;
  /** In addition to the usual memory of the process: buffers of the streams and garbage that is not yet collected. */
  const maxGrowthBytes = 150 * 1024 * 1024;

  async function residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${envd.pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) * 1024;
  }

  test('are uploaded and downloaded in constant memory', { timeout: 120_000 }, async () => {
    const before = await residentBytes();
    const chunk = randomBytes(1024 * 1024);
    let sent = 0;
    const body = new ReadableStream({
      pull(controller) {
        if ((sent += chunk.length) > sizeBytes) controller.close();
        else controller.enqueue(chunk);
      },
    });
    const init = { method: 'POST', headers: octetStream, body, duplex: 'half' };
    const response = await fetch(url({ path: '/tmp/large' }), init);
    expect(response.status).toBe(200);
    let received = 0;
    for await (const part of (await download('/tmp/large')).body ?? []) received += (part as Uint8Array).length;
    expect(received).toBe(sizeBytes);
    expect((await residentBytes()) - before).toBeLessThan(maxGrowthBytes);
    await shell('rm /tmp/large');
  });

  test('the server stops sending if a client stops reading', { timeout: 60_000 }, async () => {
    await shell('truncate -s 1G /tmp/sparse');
    const before = await residentBytes();
    const paused = await new Promise<NodeJS.ReadableStream & { destroy(): void }>((resolve, reject) => {
      httpRequest(url({ path: '/tmp/sparse' }), (response) => resolve(response.pause()))
        .on('error', reject)
        .end();
    });
    await sleep(1000);
    expect((await residentBytes()) - before).toBeLessThan(maxGrowthBytes);
    paused.destroy();
  });
});
