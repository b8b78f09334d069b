import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { causes } from '@soulbox/contract';
import { lifecycleEventTypes } from '@soulbox/storage';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestApi, until } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

interface Event {
  readonly sequence: number;
  readonly type: string;
  readonly sandboxId: string;
  readonly eventData: { readonly cause: string };
}

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

async function create(metadata: Record<string, string> = {}): Promise<string> {
  const answer = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base', metadata } });
  return (answer.json as { sandboxID: string }).sandboxID;
}
const read = async (query = '', path = '/events/sandboxes'): Promise<Event[]> =>
  (await api.ask('GET', `${path}${query}`)).json as Event[];
const story = async (id: string): Promise<string[]> =>
  (await read('?orderAsc=true&limit=100', `/events/sandboxes/${id}`)).map(
    ({ type, eventData }) => `${type.replace('sandbox.lifecycle.', '')} ${eventData.cause}`,
  );

describe('lifecycle events', () => {
  it('describe a whole life and the cause of each step', async () => {
    const id = await create();
    await api.ask('POST', `/sandboxes/${id}/timeout`, { body: { timeout: 500 } });
    await api.ask('POST', `/sandboxes/${id}/pause`);
    api.runner.move(id, 'running', 'traffic');
    await until(async () => (await story(id)).length === 4);
    api.runner.move(id, 'paused', 'idle');
    await until(async () => (await story(id)).length === 5);
    await api.ask('POST', `/sandboxes/${id}/connect`, { body: { timeout: 10 } });
    await api.ask('POST', `/sandboxes/${id}/fork`);
    await until(async () => (await story(id)).includes('checkpointed fork'));
    api.runner.end(id, 'failed');
    await until(async () => (await story(id)).includes('killed failed'));
    expect((await story(id)).filter((line) => line !== 'updated request')).toEqual([
      ...['created request', 'paused request', 'resumed traffic', 'paused idle', 'resumed request'],
      ...['checkpointed fork', 'killed failed'],
    ]);
  });

  it("have E2B's fields and ours", async () => {
    const id = await create({ user: 'a' });
    await api.ask('DELETE', `/sandboxes/${id}`);
    const [killed, created] = await read();
    expect(created).toEqual({
      version: 'v2',
      sequence: expect.any(Number) as number,
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      type: 'sandbox.lifecycle.created',
      eventData: { cause: 'request', sandbox_metadata: { user: 'a' } },
      sandboxBuildId: 'tbase',
      sandboxExecutionId: expect.stringContaining(id) as string,
      sandboxId: id,
      sandboxTeamId: api.teamId,
      sandboxTemplateId: 'tbase',
      timestamp: expect.stringMatching(/^\d{4}-.*Z$/) as string,
    });
    expect(killed?.eventData).toEqual({
      cause: 'killed',
      sandbox_metadata: { user: 'a' },
      execution: {
        ...{ started_at: expect.any(String) as string, vcpu_count: 2, memory_mb: 1024 },
        execution_time: expect.any(Number) as number,
      },
    });
  });

  it("that nobody received are recorded at the next comparison, with the runner's cause", async () => {
    const id = await create();
    const lost = await create();
    api.runner.failure = new Error('away');
    api.runner.cutStreams();
    await until(() => api.runner.watchers() === 0);
    api.runner.move(id, 'paused', 'timeout', 'silently');
    api.runner.sandboxes.delete(lost);
    const made = api.runner.plant({ teamId: api.teamId, cause: 'fork' }).sandboxId;
    api.runner.failure = undefined;
    await until(async () => (await story(lost)).length === 2);
    expect(await story(id)).toEqual(['created request', 'paused timeout']);
    expect(await story(lost)).toEqual(['created request', 'killed lost']);
    expect(await story(made)).toEqual(['created fork']);
    await api.restart();
    expect((await read('?limit=100')).length).toBe(5);
  });

  it('are recorded once, although the response and the event of a step cross', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, () => create()));
    for (let n = 0; n < 3; n++) {
      await Promise.all(ids.map((id) => api.ask('POST', `/sandboxes/${id}/pause`)));
      await Promise.all(ids.map((id) => api.ask('POST', `/sandboxes/${id}/connect`, { body: { timeout: 300 } })));
    }
    for (const id of ids)
      expect((await story(id)).filter((line) => !line.startsWith('updated'))).toEqual([
        'created request',
        ...Array.from({ length: 3 }, () => ['paused request', 'resumed request']).flat(),
      ]);
  });

  it('are read from any number on, in both orders, by page and type', async () => {
    const ids = [await create(), await create(), await create()];
    for (const id of ids) await api.ask('DELETE', `/sandboxes/${id}`);
    const all = await read('?orderAsc=true');
    expect(all.map((event) => event.sandboxId)).toEqual([...ids, ...ids]);
    expect(await read()).toEqual(all.toReversed());
    const third = all[2]?.sequence ?? 0;
    expect(await read(`?after=${third}`)).toEqual(all.slice(3));
    expect(await read(`?after=${third}&orderAsc=false`)).toEqual(all.slice(3).toReversed());
    expect(await read('?after=9007199254740991')).toEqual([]);
    expect(await read('?orderAsc=true&offset=2&limit=2')).toEqual(all.slice(2, 4));
    const killed = 'types=sandbox.lifecycle.killed';
    expect(await read(`?${killed}`)).toHaveLength(3);
    expect(await read(`?${killed}&types=sandbox.lifecycle.created`)).toHaveLength(6);
    expect(await read(`?${killed},sandbox.lifecycle.created`)).toHaveLength(6);
  });

  it('are ten by default', async () => {
    for (let n = 0; n < 12; n++) await create();
    expect(await read()).toHaveLength(10);
    expect(await read('?limit=100')).toHaveLength(12);
  });

  it.each([
    ...['offset=-1', 'offset=x', 'offset=1e9', 'limit=0', 'limit=101', 'limit=1.5', 'orderAsc=yes', 'after=-1'],
    ...['after=x', 'after=1.5', 'types=killed', 'types=', 'types=sandbox.lifecycle.killed,x'],
  ])('refuse %s', async (query) => {
    for (const path of ['/events/sandboxes', '/events/sandboxes/ix'])
      expect((await api.ask('GET', `${path}?${query}`)).status).toBe(400);
  });

  it("of another team's sandbox look like those of an unknown one", async () => {
    const id = await create();
    for (const path of ['/events/sandboxes', `/events/sandboxes/${id}`])
      expect((await api.ask('GET', path, { key: api.otherKey })).json).toEqual([]);
  });
});

describe('docs/events.md', () => {
  it('lists every cause with its meaning, and every type', async () => {
    const page = await readFile(join(import.meta.dirname, '../../../../docs/events.md'), 'utf8');
    // The formatter pads the cells.
    const text = page.replaceAll(/ +\|/g, ' |');
    for (const [cause, meaning] of Object.entries(causes)) expect(text).toContain(`| \`${cause}\` | ${meaning} |`);
    for (const type of lifecycleEventTypes) expect(text).toContain(`\`${type}\``);
    const [, section = ''] = text.split('\n## Causes\n');
    const rows = section.split('\n## ')[0]?.match(/^\| `[a-z_]+` \|/gm);
    expect(rows).toHaveLength(Object.keys(causes).length);
  });
});
