import { create, toBinary } from '@bufbuild/protobuf';
import { EventType, WatchDirResponseSchema } from '@soulbox/contract/filesystem';
import type { WatchDirResponse } from '@soulbox/contract/filesystem';
import { expect, test } from 'vitest';
import { connectionFrom } from './config.ts';
import { openEnvd } from './envd.ts';
import type { Envd } from './envd.ts';
import { startServer } from './testing/start-server.ts';
import type { TestServer } from './testing/start-server.ts';
import { watchDir } from './watch.ts';

/** A message of a stream of Connect: flags, length, content (connectrpc.com/docs/protocol). */
function framed(event: WatchDirResponse['event']): Uint8Array {
  const content = toBinary(WatchDirResponseSchema, create(WatchDirResponseSchema, { event }));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(content.length, 1);
  return Buffer.concat([head, content]);
}

/** Reports one change, and then nothing. */
async function startWatched(): Promise<TestServer> {
  return await startServer(() => ({
    status: 200,
    headers: { 'content-type': 'application/connect+proto' },
    body: (async function* () {
      yield framed({ case: 'start', value: {} } as WatchDirResponse['event']);
      yield framed({ case: 'filesystem', value: { name: 'a', type: EventType.CREATE } } as WatchDirResponse['event']);
      await new Promise(() => undefined);
    })(),
  }));
}

function envdOf({ url }: TestServer): Envd {
  const access = { sandboxId: 'i1', sandboxDomain: undefined, envdAccessToken: 't', trafficAccessToken: undefined };
  return openEnvd(connectionFrom({ apiUrl: url, apiKey: 'key', retries: 0 }), access);
}

test('a watch whose onEvent throws ends with its stream', async () => {
  await using server = await startWatched();
  const errors: unknown[] = [];
  const onEvent = (): never => {
    throw new Error('of the caller');
  };
  await watchDir(envdOf(server), '.', onEvent, { timeoutMs: 0, onExit: (error) => void errors.push(error?.message) });
  while (errors.length === 0 || server.open > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(errors).toEqual(['of the caller']);
});

test('a signal that has aborted ends a watch before it begins', async () => {
  await using server = await startWatched();
  const options = { signal: AbortSignal.abort() };
  const watch = watchDir(envdOf(server), '.', () => undefined, options);
  await expect(watch).rejects.toMatchObject({ code: 'canceled', reason: 'aborted' });
  expect(server.open).toBe(0);
});

test('a watch cannot last longer than timers', async () => {
  await using server = await startWatched();
  const watch = watchDir(envdOf(server), '.', () => undefined, { timeoutMs: Infinity });
  await expect(watch).rejects.toMatchObject({ reason: 'config_invalid' });
});
