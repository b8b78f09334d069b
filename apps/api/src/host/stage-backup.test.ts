import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { SoulBoxError } from '@soulbox/base';
import type { StageBackup } from '../context.ts';
import { metricsToken, startTestApi } from '../testing/test-api.ts';
import type { Answer, TestApi } from '../testing/test-api.ts';

let api: TestApi | undefined;
afterEach(async () => {
  await api?.[Symbol.asyncDispose]();
});

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

async function stage(stageBackup?: StageBackup): Promise<Answer> {
  api = await startTestApi(stageBackup === undefined ? {} : { stageBackup });
  return await api.ask('POST', '/host/backup-stage', { key: null, headers: bearer(metricsToken) });
}
const linesOf = ({ text }: Answer): unknown[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);

test('reports each sandbox and the end', async () => {
  const answer = await stage(async (report) => {
    report({ what: 'sandbox', id: 'i1' });
    await Promise.resolve();
    report({ what: 'snapshot', id: 's2', leftOut: 'why' });
  });
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/x-ndjson']);
  expect(linesOf(answer)).toEqual([
    { what: 'sandbox', id: 'i1' },
    { what: 'snapshot', id: 's2', leftOut: 'why' },
    { done: true },
  ]);
});

test('a failure is the last line, without internal details', async () => {
  const full = await stage(() => Promise.reject(new SoulBoxError('disk_full', 'No room.')));
  expect(linesOf(full)).toEqual([{ error: { reason: 'disk_full', message: 'No room.' } }]);
  await api?.[Symbol.asyncDispose]();
  const [line] = linesOf(await stage(() => Promise.reject(new Error('/a/path'))));
  expect(line).toMatchObject({
    error: { reason: 'internal', message: expect.not.stringContaining('/a/path') as string },
  });
});

test('only the operator may call it', async () => {
  api = await startTestApi({ stageBackup: () => Promise.reject(new Error('asked')) });
  const { key } = api;
  for (const headers of [{}, bearer('wrong'), bearer(key), { 'x-api-key': key }])
    expect((await api.ask('POST', '/host/backup-stage', { key: null, headers })).status).toBe(401);
});

test('a client that leaves ends it', async () => {
  const left = Promise.withResolvers<undefined>();
  api = await startTestApi({
    stageBackup: async (report, signal) => {
      report({ what: 'sandbox', id: 'i1' });
      await once(signal, 'abort');
      left.resolve(undefined);
    },
  });
  const stop = new AbortController();
  const options = { method: 'POST', headers: bearer(metricsToken), signal: stop.signal };
  await fetch(`${api.url}/host/backup-stage`, options);
  stop.abort();
  await left.promise;
});

test('a server without backups says so', async () => {
  expect((await stage()).status).toBe(501);
});

test('the API document, which is for clients, does not contain it', async () => {
  api = await startTestApi();
  const { paths } = (await api.ask('GET', '/openapi.json')).json as { paths: object };
  expect(Object.keys(paths)).not.toContain('/host/backup-stage');
});
