import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { createFileCalls } from '../testing/file-calls.ts';
import { useEnvd } from '../testing/use-envd.ts';

const envd = useEnvd();

const { url, upload, download, rawGet, shell } = createFileCalls(envd);

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

  test('an error names its reason in a header, as errors of the API do', async () => {
    const response = await download('/nothing/here');
    expect([response.status, response.headers.get('x-soulbox-reason')]).toEqual([404, 'file_not_found']);
  });

  test('an unknown user is 401', async () => {
    const response = await download('x', {}, { username: 'nobody-here' });
    expect([response.status, await response.json()]).toEqual([
      401,
      { code: 401, message: "invalid username: 'nobody-here'" },
    ]);
  });

  test('an empty path is the default working directory, and ~ is the home', async () => {
    await envd().init({ defaultWorkdir: '/etc' });
    expect(await (await download('')).json()).toMatchObject({ message: "path '/etc' is a directory" });
    expect(await (await download('~')).json()).toMatchObject({ message: "path '/home/user' is a directory" });
  });
});
