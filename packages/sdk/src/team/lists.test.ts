import { headers } from '@soulbox/contract/headers';
import { expect, test } from 'vitest';
import type { ConnectionOptions } from '../config.ts';
import type { PageOptions, Paginator } from '../pages.ts';
import { startServer } from '../testing/start-server.ts';
import { secrets } from './secrets.ts';
import { templates } from './templates.ts';

test.each<[string, string, (options: PageOptions & ConnectionOptions) => Paginator<unknown>]>([
  ['templates', '/v2/templates', (options) => templates.list(options)],
  ['secrets', '/secrets', (options) => secrets.list(options)],
])('the list of %s has every page', async (_, path, list) => {
  const pages: Record<string, { readonly body: object; readonly next?: string }> = {
    [`GET ${path}?limit=2`]: { body: [1, 2], next: 'two' },
    [`GET ${path}?limit=2&nextToken=two`]: { body: [3, 4], next: 'three' },
    [`GET ${path}?limit=2&nextToken=three`]: { body: [5] },
  };
  await using server = await startServer(({ line }) => {
    const { body = {}, next } = pages[line] ?? {};
    return { status: 200, body, headers: next === undefined ? {} : { [headers.nextToken]: next } };
  });
  const options = { apiUrl: server.url, apiKey: 'key', limit: 2 };
  const found: unknown[] = [];
  for await (const entry of list(options)) found.push(entry);
  expect(found).toEqual([1, 2, 3, 4, 5]);
  const paginator = list({ ...options, nextToken: 'three' });
  expect([await paginator.nextItems(), paginator.hasNext]).toEqual([[5], false]);
});
