import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { connectBucketService } from './connect.ts';

let folder: string;
let socketPath: string;
let server: Server | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bucket-service-'));
  socketPath = join(folder, 'buckets.sock');
});
afterEach(async () => {
  server?.close();
  server?.closeAllConnections();
  await rm(folder, { recursive: true });
});

async function start(listener: RequestListener): Promise<void> {
  server = createServer(listener);
  server.listen(socketPath);
  await once(server, 'listening');
}

const check = { teamId: 'a/b', bucketId: 'b1', signal: AbortSignal.timeout(10_000) };

it('a service that does not run is woken and waited for', async () => {
  let woken = 0;
  const lines: string[] = [];
  const checking = connectBucketService(socketPath, () => void (woken += 1)).check(check);
  await expect.poll(() => woken).toBeGreaterThan(0);
  await start(({ method, url }, response) => {
    lines.push(`${method ?? ''} ${url ?? ''}`);
    response.end('{}');
  });
  await checking;
  expect(lines).toEqual(['GET /a%2Fb/b1/check']);
});

it('the error of the store is passed on, and one that breaks off is unavailable', async () => {
  const answers = ['{"reason":"storage_access_denied","message":"No."}', undefined];
  await start((request, response) => {
    const answer = answers.shift();
    if (answer === undefined) request.socket.destroy();
    else response.writeHead(403).end(answer);
  });
  const service = connectBucketService(socketPath, () => undefined);
  await expect(service.check(check)).rejects.toMatchObject({ reason: 'storage_access_denied', message: 'No.' });
  await expect(service.check(check)).rejects.toMatchObject({ reason: 'buckets_unavailable' });
});
