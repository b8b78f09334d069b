import { setTimeout as sleep } from 'node:timers/promises';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';
import { tokenFromPosition } from '../paging/page-token.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

const started = Date.now() - 100_000;

/** Adds a sandbox that the runner reports, `n` ms after the first. */
async function add(n: number, metadata: Record<string, string> = {}, more: object = {}): Promise<string> {
  const sandboxId = `i${String(n).padStart(4, '0')}`;
  const sandbox = api.runner.plant({
    sandboxId,
    teamId: api.teamId,
    metadata,
    startedAt: timestampFromMs(started + n),
    ...more,
  });
  api.runner.tell({ case: 'created', value: { sandbox } as never });
  for (let tries = 0; (await api.records.sandboxes.find(sandboxId)) === undefined && tries < 500; tries++)
    await sleep(2);
  return sandboxId;
}

async function list(query = '', path = '/v2/sandboxes') {
  const answer = await api.ask('GET', `${path}${query}`);
  const rows = Array.isArray(answer.json) ? (answer.json as { sandboxID: string }[]) : [];
  return { ...answer, ids: rows.map((row) => row.sandboxID) };
}

const metadataQuery = (pairs: Record<string, string>): string => {
  const encoded = Object.fromEntries(
    Object.entries(pairs).map(([key, value]) => [encodeURIComponent(key), encodeURIComponent(value)]),
  );
  return `?metadata=${encodeURIComponent(new URLSearchParams(encoded).toString())}`;
};

describe('listing sandboxes', () => {
  it('gives the newest first, or the oldest on demand', async () => {
    const ids = [await add(1), await add(2), await add(3)];
    expect((await list()).ids).toEqual(ids.toReversed());
    expect((await list('?order=asc')).ids).toEqual(ids);
    expect((await list('', '/sandboxes')).ids).toEqual(ids.toReversed());
  });

  it('pages without gaps or repeats while sandboxes are created and killed', async () => {
    for (let n = 1; n <= 25; n++) await add(n);
    const seen: string[] = [];
    let token: string | null = null;
    let added = 100;
    do {
      const page = await list(`?limit=10${token === null ? '' : `&nextToken=${token}`}`);
      seen.push(...page.ids);
      token = page.headers.get('x-next-token');
      await add(added++);
      await api.ask('DELETE', `/sandboxes/${seen[0] ?? ''}`);
    } while (token !== null);
    expect(seen).toEqual(Array.from({ length: 25 }, (_, n) => `i${String(25 - n).padStart(4, '0')}`));
  });

  it('gives the number of matches before paging, and no token at the end', async () => {
    for (let n = 1; n <= 3; n++) await add(n, { n: String(n % 2) });
    const page = await list('?limit=2');
    expect(page.headers.get('x-total-running')).toBe('3');
    expect(page.headers.get('x-next-token')).not.toBeNull();
    const filtered = await list(`${metadataQuery({ n: '1' })}&limit=2`);
    expect(filtered.headers.get('x-total-running')).toBe('2');
    expect(filtered.headers.get('x-next-token')).toBeNull();
  });

  it('filters by metadata as the clients encode it', async () => {
    const odd = { 'a&b=c %+': 'd&e=ü %2B', plain: 'x' };
    const id = await add(1, odd);
    await add(2, { plain: 'x' });
    expect((await list(metadataQuery(odd))).ids).toEqual([id]);
    expect((await list(metadataQuery({ plain: 'x' }))).ids).toHaveLength(2);
    expect((await list('?metadata=plain%3Dx', '/sandboxes')).ids).toHaveLength(2);
    expect((await list(metadataQuery({ plain: 'X' }))).ids).toEqual([]);
  });

  it('filters by state in both array forms; nothing is paused here', async () => {
    const id = await add(1);
    expect((await list('?state=running,paused')).ids).toEqual([id]);
    expect((await list('?state=running&state=paused')).ids).toEqual([id]);
    const paused = await list('?state=paused');
    expect([paused.status, paused.ids, paused.headers.get('x-total-running')]).toEqual([200, [], '1']);
  });

  it('filters by start time inclusively, and by template id or name', async () => {
    await add(1);
    const second = await add(2, {}, { templateId: 'tother', alias: 'gone' });
    const time = encodeURIComponent(new Date(started + 2).toISOString());
    expect((await list(`?startedAfter=${time}`)).ids).toEqual([second]);
    expect((await list('?template=base')).ids).toEqual(['i0001']);
    expect((await list('?template=tbase')).ids).toEqual(['i0001']);
    expect((await list('?template=gone')).ids).toEqual([second]);
    expect((await list('?template=never-was')).ids).toEqual([]);
    expect((await list('?template=..%2F..')).ids).toEqual([]);
  });

  it.each([
    ['a tag', '?template=base:v1'],
    ['a limit of 0', '?limit=0'],
    ['a limit of 101', '?limit=101'],
    ['a limit that is no number', '?limit=NaN'],
    ['an infinite limit', '?limit=1e309'],
    ['a negative limit', '?limit=-5'],
    ['an unknown state', '?state=sleeping'],
    ['an unknown order', '?order=sideways'],
    ['a time that is none', '?startedAfter=yesterday'],
    ['metadata that cannot be decoded', '?metadata=a%3D%2525zz'],
    ['a template of 10,000 characters', `?template=${'a'.repeat(10_000)}`],
  ])('returns 400 for %s', async (_what, query) => {
    const answer = await list(query);
    expect(answer.json).toEqual({ code: 400, message: expect.any(String) as string });
    expect(answer.status).toBe(400);
  });

  it.each([
    ['no base64', '!!!'],
    ['empty', ''],
    ['other text', Buffer.from('hello').toString('base64url')],
    ['a bad time', Buffer.from('2026-99-99T00:00:00Z__iabc').toString('base64url')],
    ['an id that is SQL', Buffer.from("2026-01-01T00:00:00Z__i' OR 1").toString('base64url')],
    ['the token of the other order', tokenFromPosition({ startedAt: 1, id: 'iabc' }, 'asc')],
    ['10,000 characters', 'a'.repeat(10_000)],
  ])('refuses a token that is %s', async (_what, token) => {
    const answer = await list(`?nextToken=${encodeURIComponent(token)}`);
    expect(answer.json).toEqual({ code: 400, message: 'Invalid next token' });
  });

  it("accepts a token with nanoseconds, as created by E2B's server", async () => {
    const id = await add(1);
    const token = Buffer.from(`2099-01-01T00:00:00.123456789Z__iabc`).toString('base64url');
    expect((await list(`?nextToken=${token}`)).ids).toEqual([id]);
  });
});
