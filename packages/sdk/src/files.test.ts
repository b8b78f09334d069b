import { once } from 'node:events';
import { expect, test } from 'vitest';
import { createCommands } from './commands.ts';
import { connectionFrom } from './config.ts';
import { openEnvd } from './envd.ts';
import type { Envd } from './envd.ts';
import { createFiles } from './files.ts';
import { createProcesses, createRunProcess } from './processes.ts';
import { startServer } from './testing/start-server.ts';
import type { Answer, TestServer } from './testing/start-server.ts';

const errorOf = async (call: Promise<unknown>): Promise<unknown> => await call.catch((error: unknown) => error);
const envdOf = ({ url }: Pick<TestServer, 'url'>, apiKey = 'key'): Envd => {
  const access = { sandboxId: 'i1', sandboxDomain: undefined, envdAccessToken: 't', trafficAccessToken: undefined };
  return openEnvd(connectionFrom({ apiUrl: url, apiKey, retries: 0 }), access);
};
const badGateway: Answer = { status: 502, body: { sandboxId: 'i1', message: 'not reachable', code: 502 } };
const written = { status: 200, body: [{ name: 'a', path: '/a', type: 'file' }] };

test('a sandbox that is gone has neither missing files nor missing processes', async () => {
  await using server = await startServer(({ line }) =>
    line === 'GET /sandboxes/i1' ? { status: 404, body: { code: 404, message: 'gone' } } : badGateway,
  );
  const envd = envdOf(server);
  const files = createFiles(envd);
  const commands = createCommands(createProcesses(envd), createRunProcess(envd));
  const calls = [files.exists('a'), commands.kill(5), files.write('a', 'text'), files.read('a')];
  for (const error of await Promise.all(calls.map(errorOf)))
    expect(error).toMatchObject({ code: 'not_found', reason: 'sandbox_not_found' });
});

test('a file that is missing does not exist', async () => {
  const body = { code: 'not_found', message: 'no such file' };
  await using server = await startServer(() => ({
    status: 404,
    headers: { 'content-type': 'application/json' },
    body,
  }));
  expect(await createFiles(envdOf(server)).exists('a')).toBe(false);
});

test('a sandbox that exists, or of which nothing is known, is unreachable and not gone', async () => {
  await using server = await startServer(({ line }) => (line === 'GET /sandboxes/i1' ? { status: 200 } : badGateway));
  for (const apiKey of ['key', '']) {
    const files = createFiles(envdOf(server, apiKey));
    for (const error of await Promise.all([files.write('a', 'text'), files.read('a')].map(errorOf)))
      expect(error).toMatchObject({
        code: 'unavailable',
        reason: 'unreachable',
        message: 'not reachable',
      });
  }
});

test('after a failed write, no other file of the list is begun, and those in progress end first', async () => {
  const held = new EventTarget();
  await using server = await startServer(async ({ line }) => {
    if (line.endsWith('path=0')) return { status: 507, body: { message: 'full' } };
    await once(held, 'go');
    return written;
  });
  const call = errorOf(createFiles(envdOf(server)).writeFiles(entries(20)));
  await until(() => server.seen.length === 8 && server.open === 7);
  const early = await Promise.race([call, new Promise((resolve) => setTimeout(resolve, 100))]);
  expect(early).toBe(undefined);
  held.dispatchEvent(new Event('go'));
  expect(await call).toMatchObject({ reason: 'disk_full', message: 'full' });
  expect(server.seen.length).toBe(8);
});

test('files of a list are written in order of the list, whichever is first', async () => {
  await using server = await startServer(async ({ line }) => {
    const path = line.split('=').at(-1) ?? '';
    await new Promise((resolve) => setTimeout(resolve, 20 - Number(path)));
    return { status: 200, body: [{ name: path, path, type: 'file' }] };
  });
  const all = await createFiles(envdOf(server)).writeFiles(entries(20));
  expect(all.map(({ path }) => path)).toEqual(entries(20).map(({ path }) => path));
});

test('a signal that has aborted ends the read of a stream before a request', async () => {
  await using server = await startServer(() => ({ status: 200, body: 'text' }));
  const options = { format: 'stream', signal: AbortSignal.abort() } as const;
  const files = createFiles(envdOf(server));
  expect(await errorOf(files.read('a', options))).toMatchObject({ code: 'canceled', reason: 'aborted' });
  expect(server.seen).toEqual([]);
});

function entries(count: number): { readonly path: string; readonly data: string }[] {
  return Array.from({ length: count }, (_, index) => ({ path: String(index), data: 'x' }));
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5));
}
