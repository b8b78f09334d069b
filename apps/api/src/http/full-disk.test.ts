/** @module-tag violation */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SoulBoxError } from '@soulbox/base';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

it('a key is valid although its use cannot be recorded, and the log says so', async () => {
  api.records.apiKeys.touch = () => Promise.reject(new SoulBoxError('disk_full', 'no room'));
  expect((await api.ask('GET', '/v2/sandboxes')).status).toBe(200);
  expect(await api.readLog()).toContain('use of an API key could not be recorded');
});
