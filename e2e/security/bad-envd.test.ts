import { describe, expect, test } from 'vitest';
import { ask, askWithoutBody, routes } from '../harness/http.ts';
import type { Answer } from '../harness/http.ts';
import { sharedSandbox } from '../harness/sandbox.ts';

const sandbox = sharedSandbox();

async function askEnvd(
  method: string,
  path: string,
  body?: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const token = (sandbox() as unknown as { envdAccessToken: string }).envdAccessToken;
  return await ask({
    method,
    path,
    headers: {
      ...routes.headers(sandbox().sandboxId, 49983),
      'x-access-token': token,
      'content-type': 'application/json',
      ...headers,
    },
    ...(body === undefined ? {} : { body }),
  });
}

const unary = [
  '/process.Process/List',
  '/process.Process/Update',
  '/process.Process/SendInput',
  '/process.Process/SendSignal',
  '/process.Process/CloseStdin',
  '/filesystem.Filesystem/Stat',
  '/filesystem.Filesystem/MakeDir',
  '/filesystem.Filesystem/Move',
  '/filesystem.Filesystem/ListDir',
  '/filesystem.Filesystem/Remove',
  '/filesystem.Filesystem/CreateWatcher',
  '/filesystem.Filesystem/GetWatcherEvents',
  '/filesystem.Filesystem/RemoveWatcher',
];

const badBodies = [
  ['half a JSON', '{"path": "/et'],
  ['nothing', ''],
  ['a list', '[]'],
  ['a number for a path', '{"path": 7, "source": 7, "process": 7, "watcherId": 7}'],
  ['a list for a path', '{"path": ["/"], "source": [], "process": [], "watcherId": []}'],
  ['deep nesting', `{"path": ${'['.repeat(5000)}${']'.repeat(5000)}}`],
] as const;

describe.each(unary)('%s', (path) => {
  test.each(badBodies)('refuses or survives %s', async (name, body) => {
    const answer = await askEnvd('POST', path, body);
    const known = path.endsWith('/List') ? [200, 400] : [400, 404, 500];
    expect(known, `${name}: ${answer.body}`).toContain(answer.status);
    if (answer.status !== 200) expect(JSON.parse(answer.body)).toMatchObject({ code: expect.any(String) as string });
  });

  test('ignores unknown fields', async () => {
    const [without, with_] = [await askEnvd('POST', path, '{}'), await askEnvd('POST', path, '{"tomorrow": true}')];
    // The ids of watchers differ.
    const facts = ({ status, body }: Answer): unknown => [status, body.replace(/("watcherId":)"[^"]*"/, '$1""')];
    expect(facts(with_)).toEqual(facts(without));
    // 409: the home folder that it should create exists.
    expect([200, 400, 404, 409]).toContain(with_.status);
  });

  test('refuses a body of 70 MB', async () => {
    const token = (sandbox() as unknown as { envdAccessToken: string }).envdAccessToken;
    const headers = {
      ...routes.headers(sandbox().sandboxId, 49983),
      ...{ 'x-access-token': token, 'content-type': 'application/json' },
    };
    expect(await askWithoutBody(path, headers, 70_000_000, 1_000_000)).toBe(429);
  });

  test('requires a token', async () => {
    for (const token of ['', 'wrong', 'x'.repeat(5000)]) {
      const answer = await askEnvd('POST', path, '{}', { 'x-access-token': token });
      expect(answer.status).toBe(401);
    }
  });
});

/** The request of a Connect stream: one envelope with a head of 5 bytes and JSON. */
function envelope(json: string, length = Buffer.byteLength(json)): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, Buffer.from(json)]);
}

describe.each(['/process.Process/Start', '/process.Process/Connect', '/filesystem.Filesystem/WatchDir'])(
  'the stream %s',
  (path) => {
    const type = { 'content-type': 'application/connect+json', 'connect-protocol-version': '1' };

    test.each([
      ['half a JSON', envelope('{"process"')],
      ['wrong types', envelope('{"process": 7, "path": 7}')],
      ['no body', Buffer.alloc(0)],
      ['a cut envelope', envelope('{}', 1000)],
      ['an envelope of 4 GB', envelope('{}', 0xffff_ffff)],
      ['two envelopes', Buffer.concat([envelope('{}'), envelope('{}')])],
      ['unknown flags', Buffer.concat([Buffer.from([0xff]), envelope('{}').subarray(1)])],
    ])('ends with an error for %s', async (_name, body) => {
      const answer = await askEnvd('POST', path, body, type);
      expect(answer.body + String(answer.status)).toMatch(/"error"|"code"|4\d\d$/);
    });

    test.each(['0', '-1', 'x', '99999999999999999999'])('survives the timeout header "%s"', async (value) => {
      const answer = await askEnvd('POST', path, envelope('{"process": {"cmd": "/no/such"}, "path": "/no/such"}'), {
        ...type,
        'connect-timeout-ms': value,
        'keepalive-ping-interval': value,
      });
      expect(answer.body).toMatch(/error|code/);
    });
  },
);

test.each([
  ['GET', '/process.Process/List', 405],
  ['POST', '/process.Process/Nothing', 404],
  ['POST', '/nothing.At/All', 404],
  ['GET', '/nothing', 404],
])('%s %s answers %i', async (method, path, status) => {
  expect((await askEnvd(method, path, method === 'POST' ? '{}' : undefined)).status).toBe(status);
});

test.each(['text/xml', 'application/connect+xml', 'x'.repeat(1000)])('the type %s is refused', async (type) => {
  const answer = await askEnvd('POST', '/process.Process/List', '{}', { 'content-type': type });
  expect(answer.status).toBe(415);
});

test.each(['/init', '/freeze', '/unfreeze', '/collapse', '/fsfreeze', '/fsthaw', '/soulbox/logs', '/soulbox/metrics'])(
  '%s is not served to the outside in any notation',
  async (path) => {
    const forms = [
      path,
      `/${path}`,
      `${path}/`,
      path.toUpperCase(),
      `/.${path}`,
      `/x/..${path}`,
      path.replace(/i|f|c|s/, (l) => `%${l.charCodeAt(0).toString(16)}`),
    ];
    for (const form of forms) {
      for (const method of ['GET', 'POST']) {
        const answer = await askEnvd(method, form, method === 'POST' ? '{"accessToken": "mine"}' : undefined);
        expect(answer.status, `${method} ${form}`).toBe(404);
      }
    }
    expect((await sandbox().commands.run('echo same token')).stdout).toBe('same token\n');
  },
);

describe('/files', () => {
  test.each([
    ['a folder', 'GET', '/files?path=/etc', 400],
    ['nothing there', 'GET', '/files?path=/no/such', 404],
    ['a NUL in the path', 'GET', '/files?path=/etc/pass%00wd', 400],
    ['an unknown user', 'GET', '/files?path=/etc/passwd&username=nobody-knows', 401],
    ['a path of 10,000 characters', 'GET', `/files?path=/${'x'.repeat(10_000)}`, 400],
    ['an unreadable range', 'GET', '/files?path=/etc/passwd', 200],
    ['no path', 'POST', '/files', 400],
    ['a folder to write to', 'POST', '/files?path=/tmp', 400],
    ['a file as a folder', 'POST', '/files?path=/etc/passwd/x', 400],
  ])('%s: %s %s', async (_name, method, path, status) => {
    const headers = { 'content-type': 'application/octet-stream', range: 'bytes=x-y' };
    const answer = await askEnvd(method, path, method === 'POST' ? 'x' : undefined, headers);
    expect(answer.status, answer.body).toBe(status);
    if (status >= 400) expect(JSON.parse(answer.body)).toEqual({ code: status, message: expect.any(String) as string });
  });

  test.each([
    ['no boundary', 'multipart/form-data', 'x'],
    ['a wrong boundary', 'multipart/form-data; boundary=a', '--b\r\n\r\nx\r\n--b--'],
    [
      'a cut form',
      'multipart/form-data; boundary=a',
      '--a\r\nContent-Disposition: form-data; name="file"; filename="cut"\r\n\r\nhalf',
    ],
    ['an endless part head', 'multipart/form-data; boundary=a', `--a\r\nX: ${'x'.repeat(1_000_000)}`],
    ['another type', 'text/plain', 'x'],
    ['text that claims to be gzip', 'application/octet-stream', 'not gzip'],
  ])('a form with %s is refused', async (name, type, body) => {
    const encoding = name.includes('gzip') ? { 'content-encoding': 'gzip' } : {};
    const answer = await askEnvd('POST', '/files?path=/tmp/form', body, { 'content-type': type, ...encoding });
    expect(answer.status, answer.body).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
  });

  test('the same path twice in a form is refused', async () => {
    const part = '--a\r\nContent-Disposition: form-data; name="file"; filename="/tmp/twice"\r\n\r\nx\r\n';
    const answer = await askEnvd('POST', '/files', `${part}${part}--a--\r\n`, {
      'content-type': 'multipart/form-data; boundary=a',
    });
    expect(answer.status, answer.body).toBe(400);
  });

  test.each([
    ['x'.repeat(300), 'x'],
    ['key', 'x'.repeat(5000)],
    ['key', 'nicht-ascii-\u00fc'],
  ])('metadata out of its limits is refused', async (key, value) => {
    const answer = await askEnvd('POST', '/files?path=/tmp/meta', 'x', {
      'content-type': 'application/octet-stream',
      [`x-metadata-${key}`]: value,
    });
    expect(answer.status, answer.body).toBe(400);
  });
});

test('after all these requests envd works and uses little memory', async () => {
  expect((await sandbox().commands.run('echo fine')).stdout).toBe('fine\n');
  const { stdout } = await sandbox().commands.run(`awk '/VmRSS/ { print $2 }' /proc/1/status`, { user: 'root' });
  expect(Number(stdout)).toBeLessThan(300_000);
});
