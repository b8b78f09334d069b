import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApiKey } from '@soulbox/storage';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

const now = { value: Date.now() };
let api: TestApi;
beforeEach(async () => {
  now.value = Date.now();
  api = await startTestApi({ clock: { now: () => now.value } });
});
afterEach(() => api[Symbol.asyncDispose]());

describe('the key of a caller', () => {
  it.each([
    ['missing', null],
    ['empty', ''],
    ['wrong', `e2b_${'0'.repeat(40)}`],
    ['of 10,000 characters', 'e'.repeat(10_000)],
    ['SQL', "' OR 1=1 --"],
  ])('that is %s gives 401 before anything else is checked', async (_what, key) => {
    for (const [method, path, body] of [
      ['GET', '/v2/sandboxes'],
      ['GET', '/v2/sandboxes?limit=nonsense'],
      ['POST', '/v2/sandboxes', '{ not json'],
      ['POST', '/sandboxes/../../etc/passwd/pause', ''],
      ['GET', '/metrics'],
      ['GET', '/teams'],
    ] as const) {
      const answer = await api.ask(method, path, { key, body });
      if (answer.status === 404) continue; // The client resolved the dots: there is no such route.
      expect([path, answer.status]).toEqual([path, 401]);
      expect(answer.json).toEqual({ code: 401, message: expect.stringMatching(/^Unauthorized/) as string });
    }
  });

  it('is not valid in another case or with a character more or less', async () => {
    for (const key of [api.key.toUpperCase(), `${api.key}0`, api.key.slice(0, -1)])
      expect((await api.ask('GET', '/v2/sandboxes', { key })).status).toBe(401);
  });

  it('is accepted as a bearer token only where that is documented', async () => {
    const bearer = { key: null, headers: { authorization: `Bearer ${api.key}` } };
    expect((await api.ask('GET', '/teams', bearer)).json).toEqual([
      { teamID: api.teamId, name: 'default', apiKey: api.key, isDefault: true },
    ]);
    expect((await api.ask('GET', '/v2/sandboxes', bearer)).status).toBe(401);
    expect((await api.ask('GET', '/teams', { ...bearer, headers: { authorization: api.key } })).status).toBe(401);
  });

  it('stops working as soon as it is revoked', async () => {
    const { key, record } = await createApiKey(api.records, { id: api.teamId }, 'short');
    expect((await api.ask('GET', '/v2/sandboxes', { key: key.reveal() })).status).toBe(200);
    expect((await api.ask('DELETE', `/api-keys/${record.id}`)).status).toBe(204);
    expect((await api.ask('GET', '/v2/sandboxes', { key: key.reveal() })).status).toBe(401);
  });

  it('has its last use recorded at most once a minute', async () => {
    const lastUsed = async () => (await api.records.apiKeys.list(api.teamId))[0]?.lastUsedAt;
    await api.ask('GET', '/v2/sandboxes');
    const first = await lastUsed();
    expect(first).toBe(now.value);
    now.value += 59_000;
    await api.ask('GET', '/v2/sandboxes');
    expect(await lastUsed()).toBe(first);
    now.value += 1000;
    await api.ask('GET', '/v2/sandboxes');
    expect(await lastUsed()).toBe(now.value);
  });

  it('stops working at the moment when it expires', async () => {
    const { key } = await createApiKey(api.records, { id: api.teamId }, 'short', { expiresAt: now.value + 1000 });
    const ask = () => api.ask('GET', '/v2/sandboxes', { key: key.reveal() });
    now.value += 999;
    expect((await ask()).status).toBe(200);
    now.value += 1;
    expect((await ask()).json).toEqual({ code: 401, message: 'Unauthorized, the API key has expired.' });
  });

  it('is not needed for health and the OpenAPI document', async () => {
    expect((await api.ask('GET', '/health', { key: null })).status).toBe(204);
    expect((await api.ask('GET', '/health', { key: 'wrong' })).status).toBe(204);
    expect((await api.ask('GET', '/openapi.json', { key: null })).status).toBe(200);
  });
});

describe('wrong keys', () => {
  const wrong = (n: number): string => `e2b_${n.toString(16).padStart(8, '0')}${'0'.repeat(32)}`;
  const from = (address: string) => ({ 'x-forwarded-for': address });
  const ask = (key: string, address: string) => api.ask('GET', '/teams', { key, headers: from(address) });
  const statuses = async (count: number, keyOf: (n: number) => string, addressOf: (n: number) => string) => {
    const found: number[] = [];
    for (let n = 0; n < count; n++) found.push((await ask(keyOf(n), addressOf(n))).status);
    return found;
  };

  it('of one address get 429 with Retry-After, and are looked up again after that time', async () => {
    const found = await statuses(103, wrong, () => '192.0.2.1');
    expect(found).toEqual([...Array<number>(100).fill(401), 429, 429, 429]);
    const answer = await ask(wrong(7), '192.0.2.1');
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '1']);
    now.value += 1000;
    expect((await ask(wrong(8), '192.0.2.1')).status).toBe(401);
    expect((await ask(wrong(9), '192.0.2.1')).status).toBe(429);
  });

  it('do not lock out the right key: not from other addresses, nor where it was right before', async () => {
    expect((await ask(api.key, '192.0.2.1')).status).toBe(200);
    await statuses(110, wrong, () => '192.0.2.1');
    expect((await ask(wrong(1), '192.0.2.1')).status).toBe(429);
    expect((await ask(api.key, '192.0.2.1')).status).toBe(200);
    expect((await ask(api.key, '198.51.100.7')).status).toBe(200);
    // A guess from the throttled address is not looked up, even if it is right.
    expect((await ask(api.otherKey, '192.0.2.1')).status).toBe(429);
    expect((await ask(api.otherKey, '198.51.100.7')).status).toBe(200);
  });

  it('that begin as one key does are throttled for all addresses that try it again', async () => {
    const guess = (n: number): string => api.key.slice(0, 12) + n.toString(16).padStart(32, '0');
    const address = (n: number): string => `198.51.100.${n}`;
    expect(await statuses(20, guess, address)).toEqual(Array<number>(20).fill(401));
    const again = await ask(guess(99), address(3));
    expect([again.status, again.headers.get('retry-after')]).toEqual([429, '5']);
    expect((await ask(wrong(1), address(3))).status).toBe(401);
    expect((await ask(api.key, '192.0.2.77')).status).toBe(200);
  });

  it('of one IPv6 customer count together', async () => {
    await statuses(100, wrong, (n) => `2001:db8:1:2::${(n + 1).toString(16)}`);
    expect((await ask(wrong(1), '2001:db8:1:2:ffff::1')).status).toBe(429);
    expect((await ask(wrong(1), '2001:db8:1:3::1')).status).toBe(401);
  });

  it('of many addresses use up a limit of the whole server, which does not count right keys', async () => {
    const found = await statuses(203, wrong, (n) => `10.0.${n >> 7}.${n & 127}`);
    expect(found.slice(200)).toEqual([429, 429, 429]);
    expect((await ask(api.key, '10.0.0.1')).status).toBe(200);
    now.value += 1000;
    expect((await ask(wrong(1), '10.9.9.9')).status).toBe(401);
  });

  it('count when they have expired or were revoked, and missing keys do not', async () => {
    const { key, record } = await createApiKey(api.records, { id: api.teamId }, 'gone');
    expect(await api.records.apiKeys.remove(api.teamId, record.id)).toBe(true);
    const found = await statuses(
      21,
      () => key.reveal(),
      () => '192.0.2.9',
    );
    expect(found).toEqual([...Array<number>(20).fill(401), 429]);
    for (let n = 0; n < 110; n++)
      expect((await api.ask('GET', '/teams', { key: null, headers: from('192.0.2.10') })).status).toBe(401);
    expect((await ask(wrong(1), '192.0.2.10')).status).toBe(401);
  });
});
