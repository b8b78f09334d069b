/** @module-tag violation */
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { createServer, get } from 'node:http';
import type { Server } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { get as getSecure } from 'node:https';
import { connect, createConnection, Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { guardConnections } from './guard-connections.ts';
import { ForbiddenAddressError } from './guarded-lookup.ts';
import { createHostPolicy } from './host-policy.ts';
import { createOutsidePolicy } from './outside-policy.ts';

let folder: string;
let server: Server;
let local: Server;
let port: number;
let hits: number;
let redirectTo: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-guard-'));
  hits = 0;
  server = createServer((request, response) => {
    hits += 1;
    if (request.url === '/redirect') response.writeHead(302, { location: redirectTo });
    response.end('x');
  });
  local = createServer((_, response) => response.end('local'));
  server.listen(0, '127.0.0.1');
  local.listen(join(folder, 'known.sock'));
  await Promise.all([once(server, 'listening'), once(local, 'listening')]);
  ({ port } = server.address() as AddressInfo);
});
afterEach(async () => {
  server.close();
  local.close();
  server.closeAllConnections();
  local.closeAllConnections();
  await removeTree(folder);
});

const guard = (allowed: readonly string[] = []): Disposable => {
  const policy = createHostPolicy(allowed, createOutsidePolicy([]), '');
  return guardConnections({ ...policy, sockets: [join(folder, 'known.sock')] });
};

/** What ended it: an error, or `connected`. HTTP/2 says that it is connected before the error. */
async function outcomeOf(begin: () => NodeJS.EventEmitter): Promise<unknown> {
  const begun = begin();
  return await new Promise((resolve) => {
    begun.on('error', resolve);
    for (const event of ['connect', 'secureConnect', 'response'])
      begun.on(event, () => setTimeout(resolve, 50, 'connected'));
  });
}

const ways: Record<string, (host: string) => NodeJS.EventEmitter> = {
  'net.connect with options': (host) => connect({ host, port }),
  'net.connect with port and host': (host) => connect(port, host),
  createConnection: (host) => createConnection({ host, port }),
  'a socket of its own': (host) => new Socket().connect(port, host),
  'a socket with options': (host) => new Socket().connect({ host, port }),
  'tls.connect': (host) => connectTls({ host, port }),
  'http.get': (host) => get({ host, port, agent: false }),
  'https.get': (host) => getSecure({ host, port, agent: false }),
  http2: (host) => connectHttp2(`http://${host}:${port}`),
};

test.each(Object.entries(ways))('%s reaches no address of this machine', async (_, way) => {
  using _guarded = guard();
  expect(await outcomeOf(() => way('127.0.0.1'))).toBeInstanceOf(ForbiddenAddressError);
  expect(await outcomeOf(() => way('localhost'))).toBeInstanceOf(ForbiddenAddressError);
  expect(hits).toBe(0);
});

test('fetch is refused, also after a redirect of a host that is allowed', async () => {
  using _guarded = guard(['127.0.0.1']);
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('x');
  for (const place of ['http://10.0.0.1/', 'http://169.254.169.254/latest/meta-data/', `http://[::1]:${port}/`]) {
    redirectTo = place;
    await expect(fetch(`http://127.0.0.1:${port}/redirect`)).rejects.toMatchObject({
      cause: expect.any(ForbiddenAddressError) as unknown,
    });
    await expect(fetch(place)).rejects.toMatchObject({ cause: expect.any(ForbiddenAddressError) as unknown });
  }
});

test('without a host it is localhost, and other Unix sockets than the known ones are closed', async () => {
  using _guarded = guard();
  expect(await outcomeOf(() => connect(port))).toBeInstanceOf(ForbiddenAddressError);
  expect(await outcomeOf(() => connect(join(folder, 'known.sock')))).toBe('connected');
  expect(await outcomeOf(() => get({ socketPath: join(folder, 'known.sock') }))).toBe('connected');
  expect(await outcomeOf(() => connect({ path: '/run/dbus/system_bus_socket' }))).toBeInstanceOf(ForbiddenAddressError);
});

test('hosts that the operator allows are reached, by name and by address', async () => {
  using _guarded = guard(['localhost', '127.0.0.0/8']);
  expect(await outcomeOf(() => connect({ host: '127.0.0.1', port }))).toBe('connected');
  expect(await outcomeOf(() => get({ host: 'localhost', port, agent: false }))).toBe('connected');
});
