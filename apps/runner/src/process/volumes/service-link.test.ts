import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProcess } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createServiceLink, volumeService } from './service-link.ts';
import type { HeldMount } from './service-link.ts';

let folder: string;
let server: Server;
/** When the service was asked whether it is alive. */
let asked: number[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-link-'));
  asked = [];
  server = createServer((request, response) => {
    if (request.url === '/mounts') response.end('["m"]');
    else {
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

test('the service after one that was killed is found at once', async () => {
  const options = {
    ...{ kind: volumeService, socketPath: join(folder, 'socket'), channel: -1, wake: () => undefined },
    logger: silentLogger,
  };
  const link = createServiceLink(options);
  link.keep(mount());
  await expect.poll(() => asked.length).toBe(1);
  for (let kill = 1; kill <= 5; kill += 1) {
    const killedAt = performance.now();
    server.closeAllConnections();
    await expect.poll(() => asked.length, { interval: 5 }).toBe(kill + 1);
    // Before the next try after a failure.
    expect((asked[kill] ?? Infinity) - killedAt).toBeLessThan(150);
  }
  await link[Symbol.asyncDispose]();
  server.closeAllConnections();
  expect(asked).toHaveLength(6);
});
