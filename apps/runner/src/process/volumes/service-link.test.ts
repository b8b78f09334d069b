import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { json } from 'node:stream/consumers';
import { join } from 'node:path';
import { findProcess } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bucketService, createServiceLink, volumeService } from './service-link.ts';
import type { HeldMount, ServiceKind } from './service-link.ts';

let folder: string;
let server: Server;
/** When the service was asked whether it is alive. */
let asked: number[];
/** The mounts of which the service was told. */
let told: unknown[];
let held: (string | undefined)[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-link-'));
  asked = [];
  told = [];
  held = [];
  server = createServer((request, response) => {
    if (request.url === '/mounts' && request.method === 'PUT')
      void json(request).then((body) => {
        told.push(body);
        response.writeHead(204).end();
      });
    else if (request.url === '/mounts') response.end('["m"]');
    else if (request.method === 'POST') {
      held.push(request.url);
      response.writeHead(204).end();
    } else {
      asked.push(performance.now());
      response.writeHead(200).flushHeaders();
    }
  });
  await new Promise<void>((resolve) => server.listen(join(folder, 'socket'), resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

function mount(): HeldMount {
  const holder = findProcess(process.pid);
  if (holder === undefined) throw new Error('This process is not there.');
  const place = { teamId: 't', groupId: 'g', volumeId: 'v', name: 'v', path: '/v' };
  const volume = { ...place, isReadOnly: false, sizeBytes: 0, teamBytes: 0, isBucket: false, prefix: '' };
  return { mountId: 'm', fd: 3, holder, volume, negotiated: { minor: 36, maxWriteBytes: 4096, flags: [] } };
}

const linkTo = (kind: ServiceKind) =>
  createServiceLink({
    ...{ kind, socketPath: join(folder, 'socket'), channel: -1, wake: () => undefined, logger: silentLogger },
  });

test('each service is told all mounts, but not before they are known', async () => {
  await using link = linkTo(volumeService);
  link.keep(mount());
  await expect.poll(() => asked.length).toBe(1);
  expect(told).toEqual([]);
  link.noteComplete();
  await expect.poll(() => told).toEqual([['m']]);
  link.keep({ ...mount(), mountId: 'n', holder: { ...mount().holder, startTicks: 1 } });
  server.closeAllConnections();
  await expect.poll(() => told.length).toBeGreaterThan(1);
  // The holder of the other one has ended. A slow connection is made more than once.
  expect(new Set(told.map(String))).toEqual(new Set(['m']));
});

test('the service of buckets is told nothing: it keeps nothing for mounts that are gone', async () => {
  await using link = linkTo(bucketService);
  link.noteComplete();
  link.keep(mount());
  await expect.poll(() => asked.length).toBe(1);
  server.closeAllConnections();
  await expect.poll(() => asked.length).toBe(2);
  expect(told).toEqual([]);
});

test('the service after one that was killed is found at once', async () => {
  const options = {
    ...{ kind: volumeService, socketPath: join(folder, 'socket'), channel: -1, wake: () => undefined },
    logger: silentLogger,
  };
  const link = createServiceLink(options);
  link.keep(mount());
  await expect.poll(() => asked.length).toBe(1);
  const waits: number[] = [];
  for (let kill = 1; kill <= 5; kill += 1) {
    const killedAt = performance.now();
    server.closeAllConnections();
    await expect.poll(() => asked.length, { interval: 5 }).toBe(kill + 1);
    waits.push((asked[kill] ?? Infinity) - killedAt);
  }
  // Before the next try after a failure, at least once on a machine that does other things, too.
  expect(Math.min(...waits)).toBeLessThan(150);
  await link[Symbol.asyncDispose]();
  server.closeAllConnections();
  expect(asked).toHaveLength(6);
});

test('a backup holds the moment of a volume', async () => {
  await using link = linkTo(volumeService);
  await link.holdForBackup(mount().volume);
  expect(held).toEqual(['/t/g/v/hold']);
});
