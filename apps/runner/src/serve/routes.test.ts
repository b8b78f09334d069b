import { createClient, createRouterTransport } from '@connectrpc/connect';
import { holdHostRoom, errorFromConnect } from '@soulbox/contract';
import { RunnerService } from '@soulbox/contract/runner';
import { SoulBoxError } from '@soulbox/base';
import { beforeEach, expect, test } from 'vitest';
import type { RunnerContext } from '../context.ts';
import { addRunnerRoutes } from './routes.ts';

let roomBytes: number;
let stop: AbortController;
let runner: ReturnType<typeof createClient<typeof RunnerService>>;
beforeEach(() => {
  roomBytes = 10;
  stop = new AbortController();
  const admit = (bytes: number, what: string): Disposable => {
    if (bytes > roomBytes) throw new SoulBoxError('disk_full', `${what} may take ${bytes} bytes.`);
    roomBytes -= bytes;
    return { [Symbol.dispose]: () => void (roomBytes += bytes) };
  };
  const context = { host: { disks: { admit } }, stopping: stop.signal } as unknown as RunnerContext;
  runner = createClient(
    RunnerService,
    createRouterTransport((router) => {
      addRunnerRoutes(router, context);
    }),
  );
});

const archive = { bytes: 6, what: 'The archive' };
const refused = { reason: 'disk_full', message: 'The archive may take 6 bytes.' };

test('room for what a caller writes is its own until it is done: two that fit one by one do not fit together', async () => {
  {
    using _room = await holdHostRoom(runner, archive);
    await expect(holdHostRoom(runner, archive)).rejects.toMatchObject(refused);
    using _small = await holdHostRoom(runner, { ...archive, bytes: 4 });
    expect(roomBytes).toBe(0);
  }
  await expect.poll(() => roomBytes).toBe(10);
  using _again = await holdHostRoom(runner, archive);
});

test('a stream that is dropped at once, and a runner that stops, hold nothing', async () => {
  const gone = new AbortController();
  const dropped = runner.holdHostRoom({ bytes: 6n, what: 'It' }, { signal: gone.signal })[Symbol.asyncIterator]();
  const answer = dropped.next();
  gone.abort();
  await answer.catch(errorFromConnect);
  await expect.poll(() => roomBytes).toBe(10);
  using _room = await holdHostRoom(runner, archive);
  stop.abort();
  await expect.poll(() => roomBytes).toBe(10);
});
