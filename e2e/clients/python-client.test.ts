import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '@soulbox/base';
import { isThere } from '@soulbox/testing';
import { server } from '../harness/server.ts';

// Debian's Python: another one in the PATH has other packages.
const python = '/usr/bin/python3';
const hasHttpx = isThere(
  'python3-httpx',
  existsSync(python) && existsSync('/usr/lib/python3/dist-packages/httpx/__init__.py'),
);
const program = join(import.meta.dirname, '../fixtures/python-client.py');

// Over plain HTTP, and by host names over TLS. For TLS, Python finds the CA only by SSL_CERT_FILE.
test.skipIf(!hasHttpx).each([
  ['plain HTTP', server.plain],
  ['TLS', server.tls],
])('Python clients get the answers that they expect over %s', async (_form, environment) => {
  const report = JSON.parse(await run(python, [program], { env: { ...environment } })) as Record<string, unknown>;
  expect(report).toEqual({
    created: 201,
    token: true,
    connected: [200, true],
    'connect without timeout': 400,
    process: ['hello world\n', 'err\n', 3, 'start', 'end', {}],
    keepalive: true,
    processes: {},
    chunked: [200, [{ path: '/home/user/watched/chunks.txt', name: 'chunks.txt', type: 'file' }]],
    watched: ['EVENT_TYPE_CREATE', 'EVENT_TYPE_WRITE'],
    drained: {},
    removed: {},
    'asked after': [404, 'not_found'],
    form: [200, ['/home/user/form/a.txt', '/home/user/form/b.bin']],
    'form read': true,
    'form with a path': [200, '/home/user/form/c.txt'],
    identity: ['one', null, '3'],
    missing: [404, ['code', 'message']],
    'signed write': 200,
    'signed read': 'by signature',
    forged: 401,
    listed: true,
    killed: [204, 404],
    gone: [502, 502],
  });
});
