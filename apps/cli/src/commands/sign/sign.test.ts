import { expect, test } from 'vitest';
import { runCli } from '../../testing/run-cli.ts';
import { startScriptedApi } from '../../testing/scripted-api.ts';

const signedUrl = { url: 'https://box/x?soulbox-key=s1', expiresAt: 'then', keyID: 's1' };

test.each([
  ['/sandboxes/i1/logs', { url: '/sandboxes/i1/logs' }],
  ['/home/user/a@b --sandbox i1', { url: 'API/sandboxes-http/49983-i1/files?path=%2Fhome%2Fuser%2Fa%40b' }],
  [
    '/in/ --sandbox i1 --user root --method post --prefix --max-bytes 10 --type image/* --from 192.0.2.0/24,::1',
    {
      url: 'API/sandboxes-http/49983-i1/files?path=%2Fin%2F&username=root',
      method: 'POST',
      prefix: true,
      maxBytes: 10,
      contentType: 'image/*',
      addresses: ['192.0.2.0/24', '::1'],
    },
  ],
  [
    '/a?b=1 --sandbox i1 --port 8000 --once --expires 60',
    { url: 'API/sandboxes-http/8000-i1/a?b=1', once: true, expiresInSeconds: 60 },
  ],
])('sign %s', async (line, body) => {
  await using api = await startScriptedApi([{ status: 201, body: signedUrl }]);
  const result = await runCli(['sign', ...line.split(' ')], api.environment);
  expect(result).toMatchObject({ code: 0, stdout: `${signedUrl.url}\n` });
  const url = body.url.replace('API', (api.environment['E2B_API_URL'] ?? '').replace(/\/$/, ''));
  expect(api.seen).toMatchObject([{ line: 'POST /signed-urls', key: 'e2b_test', body: { ...body, url } }]);
});

test('sign uses host names where the clients do', async () => {
  await using api = await startScriptedApi([{ status: 201, body: signedUrl }]);
  const environment = { ...api.environment, E2B_SANDBOX_URL: 'https://8000-i1.box.example/' };
  await runCli(['sign', '/a', '--sandbox', 'i1', '--port', '8000'], environment);
  expect(api.seen[0]?.body).toMatchObject({ url: 'https://8000-i1.box.example/a' });
});

test.each([
  ['/a --port 80', /need --sandbox/],
  ['/a --user root', /need --sandbox/],
  ['/a --sandbox i1 --port 80 --user root', /only for files/],
  ['a --sandbox i1 --port 80', /must begin with a slash/],
  ['/a --expires soon', /--expires must be a whole number/],
  ['/a --max-bytes 0', /--max-bytes must be a whole number/],
])('sign %s is refused before a call', async (line, reason) => {
  await using api = await startScriptedApi([]);
  const { code, stderr } = await runCli(['sign', ...line.split(' ')], api.environment);
  expect([code, api.seen]).toEqual([2, []]);
  expect(stderr).toMatch(reason);
});

test('the key of signed URLs is rotated with an overlap', async () => {
  const key = { id: 's2', createdAt: 'now', endsAt: null };
  await using api = await startScriptedApi([
    { status: 201, body: key },
    { status: 201, body: key },
  ]);
  expect((await runCli(['key', 'rotate-signing', '--overlap', '0'], api.environment)).stdout).toBe('s2\n');
  expect((await runCli(['key', 'rotate-signing', '--json'], api.environment)).stdout).toContain('"id":"s2"');
  expect(api.seen.map(({ body }) => body)).toEqual([{ overlapSeconds: 0 }, { overlapSeconds: 86_400 }]);
});
