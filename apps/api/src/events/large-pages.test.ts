import { afterEach, beforeEach, expect, it } from 'vitest';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

/** The maximum size: 64 values of 4096 bytes. */
const metadata = Object.fromEntries(Array.from({ length: 64 }, (_, n) => [`key${n}`, 'v'.repeat(4096)]));
const maxBytes = 1.5 * 1024 * 1024;

async function createSandboxes(count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n++) {
    const { status, json } = await api.ask('POST', '/sandboxes', { body: { templateID: 'base', metadata } });
    expect(status).toBe(201);
    ids.push((json as { sandboxID: string }).sandboxID);
  }
  return ids;
}

interface Event {
  readonly sequence: number;
  readonly sandboxId: string;
}

it('pages of events are limited in size and give the start of the next page, in both orders', async () => {
  const ids = await createSandboxes(10);
  for (const [order, header, parameter] of [
    ['true', 'x-next-after', 'after'],
    ['false', 'x-next-offset', 'offset'],
  ] as const) {
    const read: Event[] = [];
    let next: string | null = '0';
    let pages = 0;
    for (; next !== null; pages++) {
      const path = `/events/sandboxes?limit=100&orderAsc=${order}&${parameter}=${next}`;
      const answer = await api.ask('GET', path);
      expect(answer.status).toBe(200);
      expect(answer.text.length).toBeLessThan(maxBytes);
      read.push(...(answer.json as Event[]));
      next = answer.headers.get(header);
    }
    expect(pages).toBeGreaterThan(2);
    expect(read.map(({ sandboxId }) => sandboxId)).toEqual(order === 'true' ? ids : ids.toReversed());
  }
});

it('pages of sandboxes are limited in size; the old list without pages still returns all', async () => {
  const ids = await createSandboxes(10);
  const read: string[] = [];
  let token = '';
  let pages = 0;
  for (; pages === 0 || token !== ''; pages++) {
    const answer = await api.ask(
      'GET',
      `/v2/sandboxes?limit=100&order=asc${token === '' ? '' : `&nextToken=${token}`}`,
    );
    expect(answer.text.length).toBeLessThan(maxBytes);
    expect(answer.headers.get('x-total-running')).toBe('10');
    read.push(...(answer.json as { sandboxID: string }[]).map(({ sandboxID }) => sandboxID));
    token = encodeURIComponent(answer.headers.get('x-next-token') ?? '');
  }
  expect(pages).toBeGreaterThan(2);
  expect(read).toEqual(ids);
  const old = await api.ask('GET', '/sandboxes');
  expect(old.headers.get('content-type')).toMatch(/json/);
  expect((old.json as { sandboxID: string }[]).map(({ sandboxID }) => sandboxID)).toEqual(ids.toReversed());
  expect((await api.ask('GET', '/sandboxes', { key: api.otherKey })).json).toEqual([]);
});
