import { readFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createClients } from '../testing/clients.ts';
import { createFileCalls, octetStream } from '../testing/file-calls.ts';
import { useEnvd } from '../testing/use-envd.ts';

const envd = useEnvd();

const { url, upload, shell } = createFileCalls(envd);

const insideUpper = (path: string): string => join(envd().upperDirectory, path);

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
    const response = await fetch(`${envd().baseUrl}/files`, { method: 'POST', body: form });
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
    const response = await fetch(`${envd().baseUrl}/files`, { method: 'POST', body: form });
    expect([response.status, await response.json()]).toEqual([
      400,
      { code: 400, message: 'A part named "file" needs a file name, or the query needs a path.' },
    ]);
  });

  test('any kind of multipart is accepted', async () => {
    const part = '--b\r\nContent-Disposition: form-data; name="file"; filename="/tmp/mixed"\r\n\r\nmixed\r\n--b--\r\n';
    const headers = { 'content-type': 'multipart/mixed; boundary=b' };
    const response = await fetch(`${envd().baseUrl}/files`, { method: 'POST', headers, body: part });
    expect(response.status).toBe(200);
    expect(await shell('cat /tmp/mixed')).toBe('mixed');
  });

  test('two parts with one path are rejected', async () => {
    const form = new FormData();
    form.append('file', new Blob(['x']), '/tmp/twice');
    form.append('file', new Blob(['y']), '/tmp/../tmp/twice');
    const response = await fetch(`${envd().baseUrl}/files`, { method: 'POST', body: form });
    expect(response.status).toBe(400);
  });

  test('a gzipped body is decompressed, in both forms', async () => {
    expect((await upload('/tmp/gz', gzipSync('packed'), { 'content-encoding': 'gzip' })).status).toBe(200);
    const boundary = 'limit';
    const part = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="/tmp/gz2"\r\n\r\npacked too\r\n--${boundary}--\r\n`;
    const headers = { 'content-type': `multipart/form-data; boundary=${boundary}`, 'content-encoding': 'gzip' };
    const response = await fetch(`${envd().baseUrl}/files`, { method: 'POST', headers, body: gzipSync(part) });
    expect(response.status).toBe(200);
    expect(await shell('cat /tmp/gz /tmp/gz2')).toBe('packedpacked too');
  });

  test('metadata is stored with the file, replaced as a whole, and returned by Stat', async () => {
    const { filesystem } = createClients(envd().baseUrl);
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
    expect((await fetch(`${envd().baseUrl}/health`)).status).toBe(204);
    await shell('rm /small/*');
  });

  test('a full disk answers 507 to multipart, too', async () => {
    const form = new FormData();
    form.append('file', new Blob([randomBytes(8 * 1024 * 1024)]), '/small/big');
    form.append('file', new Blob(['x']), '/tmp/after');
    expect((await fetch(`${envd().baseUrl}/files`, { method: 'POST', body: form })).status).toBe(507);
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
