import { afterEach, expect, it } from 'vitest';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
afterEach(() => api[Symbol.asyncDispose]());

const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });

it('a key has its own rate, and its clients learn when to retry', async () => {
  api = await startTestApi({ config: { keyRequestRate: 5 } });
  for (let n = 0; n < 5; n++) expect((await api.ask('GET', '/v2/sandboxes')).status).toBe(200);
  const refused = await api.ask('GET', '/v2/sandboxes', from('192.0.2.1'));
  expect(refused.status).toBe(429);
  expect(refused.json).toMatchObject({ code: 429, message: expect.stringMatching(/API key/) as string });
  const seconds = Number(refused.headers.get('retry-after'));
  expect(Number.isInteger(seconds) && seconds >= 1 && seconds <= 10).toBe(true);
  expect((await api.ask('GET', '/v2/sandboxes', { key: api.otherKey })).status).toBe(200);
});

it('an address has its own rate for any keys or none; an IPv6 network counts as one address', async () => {
  api = await startTestApi({ config: { addressRequestRate: 4 } });
  const addresses = ['2001:db8::1', '2001:db8::2', '2001:db8::ffff', '2001:db8::1:2:3:4'];
  for (const address of addresses)
    expect((await api.ask('GET', '/teams', { key: null, ...from(address) })).status).toBe(401);
  expect((await api.ask('GET', '/v2/sandboxes', from('2001:db8::5'))).status).toBe(429);
  expect((await api.ask('GET', '/nowhere', from('2001:db8::5'))).status).toBe(429);
  expect((await api.ask('GET', '/v2/sandboxes', from('2001:db8:1::5'))).status).toBe(200);
  expect((await api.ask('GET', '/health', from('2001:db8::5'))).status).toBe(204);
});

it('a limit of 0 turns off both rates', async () => {
  api = await startTestApi({ config: { addressRequestRate: 0, keyRequestRate: 0 } });
  const answers = await Promise.all(Array.from({ length: 200 }, () => api.ask('GET', '/v2/sandboxes')));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
});
