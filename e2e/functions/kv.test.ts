import { describe, expect, onTestFinished, test } from 'vitest';
import { call, deploy, show } from '../harness/functions.ts';
import { askApi } from '../harness/http.ts';
import { skipWithout } from '../harness/needs.ts';
import { hasTemplate } from '../harness/template.ts';

const isMade = await hasTemplate('edge');

const removeNamespace = async (path: string): Promise<void> => {
  await askApi('DELETE', path);
};

const kvWorker = `
export default {
  async fetch(request, env) {
    const { op, args, text } = await request.json();
    try {
      const result = await env.STORE[op](...args, ...(text === undefined ? [] : [text]));
      return Response.json({ result: result ?? null });
    } catch (error) {
      return Response.json({ error: String(error) });
    }
  },
};`;

describe.skipIf(!isMade)('a key-value binding', () => {
  const kv = async (name: string, op: string, ...args: unknown[]): Promise<{ result?: unknown; error?: string }> =>
    JSON.parse((await call(name, '/', { method: 'POST', body: JSON.stringify({ op, args }) })).body) as object;

  test('puts, gets, lists and deletes, and functions with the same namespace share it', async () => {
    await deploy('e2e-kv-a', kvWorker, { kv: { STORE: 'e2e-shared' } });
    await deploy('e2e-kv-b', kvWorker, { kv: { STORE: 'e2e-shared' } });
    await deploy('e2e-kv-c', kvWorker, { kv: { STORE: 'e2e-other' } });
    onTestFinished(async () => {
      for (const name of ['e2e-shared', 'e2e-other']) await askApi('DELETE', `/kv/${name}`);
    });
    expect(await kv('e2e-kv-a', 'get', 'nothing')).toEqual({ result: null });
    for (const key of ['b', 'a/1 ?#%', 'a/2', 'ä'])
      await kv('e2e-kv-a', 'put', key, `value of ${key}`, { metadata: { key }, expirationTtl: 60 });
    expect(await kv('e2e-kv-b', 'get', 'a/1 ?#%')).toEqual({ result: 'value of a/1 ?#%' });
    expect(await kv('e2e-kv-b', 'getWithMetadata', 'ä')).toMatchObject({
      result: { value: 'value of ä', metadata: { key: 'ä' } },
    });
    expect(await kv('e2e-kv-b', 'get', ['b', 'none'])).toBeDefined();
    expect(await kv('e2e-kv-c', 'get', 'b')).toEqual({ result: null });
    expect(await kv('e2e-kv-a', 'list', { prefix: 'a/', limit: 1 })).toMatchObject({
      result: { keys: [{ name: 'a/1 ?#%', metadata: { key: 'a/1 ?#%' } }], list_complete: false },
    });
    const { result } = await kv('e2e-kv-a', 'list', { prefix: 'a/', limit: 1 });
    const { cursor } = result as { cursor: string };
    expect(await kv('e2e-kv-a', 'list', { prefix: 'a/', cursor })).toMatchObject({
      result: { keys: [{ name: 'a/2' }], list_complete: true },
    });
    await kv('e2e-kv-b', 'delete', 'b');
    expect(await kv('e2e-kv-a', 'get', 'b')).toEqual({ result: null });
    const large = 'x'.repeat(2_000_000);
    await kv('e2e-kv-a', 'put', 'large', large);
    expect(await kv('e2e-kv-a', 'get', 'large')).toEqual({ result: large });
  });

  test('refuses what Workers KV refuses', async () => {
    await deploy('e2e-kv-d', kvWorker, { kv: { STORE: 'e2e-limits' } });
    onTestFinished(() => removeNamespace('/kv/e2e-limits'));
    for (const args of [
      ['', 'v'],
      ['..', 'v'],
      ['k'.repeat(513), 'v'],
      ['k', 'v', { expirationTtl: 5 }],
      ['k', 'v', { metadata: 'x'.repeat(1025) }],
    ])
      expect((await kv('e2e-kv-d', 'put', ...args)).error).toBeTruthy();
    expect(await kv('e2e-kv-d', 'list')).toMatchObject({ result: { keys: [] } });
  });

  test('works after its sandbox was paused', async (context) => {
    skipWithout('checkpoint', context);
    await deploy('e2e-kv-e', kvWorker, { kv: { STORE: 'e2e-asleep' } });
    onTestFinished(() => removeNamespace('/kv/e2e-asleep'));
    await kv('e2e-kv-e', 'put', 'k', 'v');
    await askApi('POST', `/sandboxes/${(await show('e2e-kv-e')).sandboxID}/pause`);
    expect(await kv('e2e-kv-e', 'get', 'k')).toEqual({ result: 'v' });
  });
});
