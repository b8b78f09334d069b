import { setTimeout as sleep } from 'node:timers/promises';

import { expect, test } from 'vitest';
import { sharedSandbox } from '../harness/sandbox.ts';
import { apiUrl } from '../harness/server.ts';

const sandbox = sharedSandbox();

test('signed URLs name only the shared host', async () => {
  const url = await sandbox().downloadUrl('x.txt');
  expect(url.startsWith(`${apiUrl}/files?`)).toBe(true);
  expect(url).not.toContain(sandbox().sandboxId);
});

test('a signed URL reads a file without any header', async () => {
  await sandbox().files.write('signed.txt', 'for everyone with the URL');
  const response = await fetch(await sandbox().downloadUrl('signed.txt'));
  expect([response.status, await response.text()]).toEqual([200, 'for everyone with the URL']);
});

test('a browser downloads a page behind a signed URL and never shows it as a page of the API', async () => {
  await sandbox().files.write('page.html', '<script>1</script>');
  const { status, headers } = await fetch(await sandbox().downloadUrl('page.html'));
  expect([status, headers.get('content-type')]).toEqual([200, expect.stringContaining('text/html')]);
  expect(headers.get('content-disposition')).toMatch(/^attachment; filename="?page\.html"?$/);
  expect(headers.get('content-security-policy')).toMatch(/^sandbox(?!.*allow-same-origin)/);
  expect(headers.get('x-content-type-options')).toBe('nosniff');
});

test('a signed URL uploads a file, as a form and as plain bytes', async () => {
  const form = new FormData();
  form.append('file', new Blob(['by form']), 'ignored.txt');
  const url = await sandbox().uploadUrl('uploaded.txt');
  expect((await fetch(url, { method: 'POST', body: form })).status).toBe(200);
  expect(await sandbox().files.read('uploaded.txt')).toBe('by form');
  const headers = { 'content-type': 'application/octet-stream' };
  expect((await fetch(url, { method: 'POST', headers, body: 'by bytes' })).status).toBe(200);
  expect(await sandbox().files.read('uploaded.txt')).toBe('by bytes');
});

test('the user of a signed URL is part of it', async () => {
  await sandbox().files.write('/root/secret.txt', 'of root', { user: 'root' });
  const response = await fetch(await sandbox().downloadUrl('/root/secret.txt', { user: 'root' }));
  expect([response.status, await response.text()]).toEqual([200, 'of root']);
});

test('a signed URL expires', async () => {
  await sandbox().files.write('short.txt', 'short');
  const url = await sandbox().downloadUrl('short.txt', { useSignatureExpiration: 2 });
  expect((await fetch(url)).status).toBe(200);
  await sleep(3100);
  const late = await fetch(url);
  expect([late.status, await late.json()]).toEqual([401, { code: 401, message: 'signature is already expired' }]);
});

test('a read URL does not write, and a changed one does nothing', async () => {
  await sandbox().files.write('guarded.txt', 'guarded');
  const url = await sandbox().downloadUrl('guarded.txt', { useSignatureExpiration: 60 });
  const changes = [
    url.replace('guarded.txt', 'other.txt'),
    url.replace('guarded.txt', '..%2F..%2Fetc%2Fpasswd'),
    url.replace(/signature_expiration=\d+/, 'signature_expiration=9999999999'),
    url.replace(/signature=v1_./, 'signature=v1_%00'),
    url.replace(/signature=[^&]*/, 'signature='),
    `${url}&username=root`,
  ];
  for (const changed of changes) expect((await fetch(changed)).status, changed).toBe(401);
  const write = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
    body: 'x',
  });
  expect(write.status).toBe(401);
  expect(await sandbox().files.read('guarded.txt')).toBe('guarded');
});

test('a signed URL of a killed sandbox opens nothing', async () => {
  const { Sandbox } = await import('e2b');
  const other = await Sandbox.create();
  await other.files.write('gone.txt', 'gone');
  const url = await other.downloadUrl('gone.txt');
  await other.kill();
  const response = await fetch(url);
  expect([401, 502]).toContain(response.status);
});

test('a part of a file can be requested', async () => {
  await sandbox().files.write('range.txt', '0123456789');
  const url = await sandbox().downloadUrl('range.txt');
  const response = await fetch(url, { headers: { range: 'bytes=2-4', 'accept-encoding': 'identity' } });
  expect([response.status, await response.text()]).toEqual([206, '234']);
});
