import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readJson } from '@soulbox/rpc/http-call';
import { connectVolumeService } from './connect.ts';
import type { VolumeCall, VolumeService } from './volume-service.ts';

let folder: string;
let socketPath: string;
let server: Server | undefined;
let woken: number;
let service: VolumeService;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'volume-service-'));
  socketPath = join(folder, 'volumes.sock');
  woken = 0;
  service = connectVolumeService(socketPath, () => void (woken += 1));
});
afterEach(async () => {
  await stop();
  await rm(folder, { recursive: true });
});

async function start(listener: RequestListener): Promise<void> {
  server = createServer(listener);
  server.listen(socketPath);
  await once(server, 'listening');
}

/** As a kill does it: at once. */
async function stop(): Promise<void> {
  if (server === undefined) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
  server = undefined;
}

const call = async (more: Partial<VolumeCall> = {}) =>
  await service.call({
    ...{
      method: 'GET',
      what: 'path',
      teamId: 't',
      groupId: 'g',
      volumeId: 'v',
      query: { path: '/ä b', depth: undefined },
    },
    ...{ signal: AbortSignal.timeout(10_000), ...more },
  });
const answerJson: RequestListener = (request, response) => void response.end(JSON.stringify({ url: request.url }));

it('a service that does not run is woken and waited for, and one that was restarted is found again', async () => {
  const waiting = call();
  await expect.poll(() => woken).toBeGreaterThan(0);
  await start(answerJson);
  expect(await readJson((await waiting).body)).toEqual({ url: '/t/g/v/path?path=%2F%C3%A4+b' });
  for (const _ of [1, 2, 3]) {
    await stop();
    await start(answerJson);
    expect((await call()).status).toBe(200);
  }
});

it('the reason of an error is passed on, and another answer is a fault', async () => {
  const answers = [
    '{"reason":"file_not_found","message":"gone"}',
    '{"reason":"invented"}',
    '<html>',
    'x'.repeat(99_999),
  ];
  await start((_request, response) => {
    response.writeHead(404);
    response.end(answers.shift());
  });
  await expect(call()).rejects.toMatchObject({ reason: 'file_not_found', message: 'gone' });
  for (const _ of [1, 2, 3]) await expect(call()).rejects.toMatchObject({ reason: 'internal' });
});

it('a refused body is not sent to its end, and the error arrives', async () => {
  await start((request, response) => {
    request.resume();
    response.writeHead(507);
    response.end('{"reason":"disk_full","message":"It is full."}');
  });
  let sent = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) {
      sent += 1;
      yield await Promise.resolve(Buffer.alloc(64 * 1024));
    }
  }
  await expect(call({ method: 'PUT', body: endless() })).rejects.toMatchObject({ reason: 'disk_full' });
  const before = sent;
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(sent - before).toBeLessThan(5);
});

it('an error of the sender ends the call with that error, and a call that breaks off is not repeated', async () => {
  let calls = 0;
  await start((request) => {
    calls += 1;
    request.resume();
    if (request.method === 'DELETE') request.socket.destroy();
  });
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(Buffer.from('a'));
    throw new RangeError('the sender has left');
  }
  await expect(call({ method: 'PUT', body: broken() })).rejects.toThrow(RangeError);
  await expect(call({ method: 'DELETE' })).rejects.toMatchObject({ reason: 'volumes_unavailable' });
  expect(calls).toBe(2);
  const left = new AbortController();
  const hanging = call({ signal: left.signal });
  setTimeout(() => left.abort(new Error('left')), 50);
  await expect(hanging).rejects.toThrow('left');
});
