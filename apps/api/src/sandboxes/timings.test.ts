import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

const create = async (query: string): Promise<{ id: string; timing: string | null }> => {
  const { status, headers, json } = await api.ask('POST', `/v2/sandboxes${query}`, { body: { templateID: 'base' } });
  expect(status).toBe(201);
  return { id: (json as { sandboxID: string }).sandboxID, timing: headers.get('server-timing') };
};

describe('?timings=1', () => {
  it('names each operation and its phases in milliseconds, and the whole request', async () => {
    const { timing } = await create('?timings=1');
    expect(timing).toMatch(/^create;dur=22\.5, create\.take;dur=1\.5, create\.confirm;dur=20, total;dur=[\d.]+$/);
  });

  it('works for a response without a body, and for one that failed', async () => {
    const { id } = await create('');
    const paused = await api.ask('POST', `/sandboxes/${id}/pause?timings=1`);
    expect([paused.status, paused.text]).toEqual([204, '']);
    expect(paused.headers.get('server-timing')).toMatch(/^pause;dur=1\.3, pause\.freeze;dur=0\.3, total;dur=[\d.]+$/);
    const again = await api.ask('POST', `/sandboxes/${id}/pause?timings=1`);
    expect([again.status, again.headers.get('server-timing')]).toEqual([
      409,
      expect.stringMatching(/^total;dur=[\d.]+$/),
    ]);
  });

  it('belongs to one request, also among many at the same time', async () => {
    const made = await Promise.all(Array.from({ length: 20 }, (_, n) => create(n % 2 === 0 ? '?timings=1' : '')));
    for (const [n, { timing }] of made.entries())
      expect(timing?.match(/create;/g)?.length).toBe(n % 2 === 0 ? 1 : undefined);
  });

  it('is off unless it is asked for, and other values are refused', async () => {
    expect((await create('')).timing).toBeNull();
    expect((await create('?timings=0')).timing).toBeNull();
    const { status } = await api.ask('POST', '/v2/sandboxes?timings=yes', { body: { templateID: 'base' } });
    expect(status).toBe(400);
  });
});
