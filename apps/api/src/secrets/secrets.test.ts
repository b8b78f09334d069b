import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

const create = (body: unknown, key = api.key) => api.ask('POST', '/secrets', { body, key });
const get = (idOrName: string, key = api.key) => api.ask('GET', `/secrets/${encodeURIComponent(idOrName)}`, { key });
const canary = 'canary-value';

describe('a secret', () => {
  it('is created with version 1, found by id and by name in any case, and never shows its value', async () => {
    const made = await create({ name: 'OpenAI_Key-1', value: canary, metadata: { owner: 'ä' } });
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({
      ...{ secretID: expect.stringMatching(/^sec_[a-z0-9]{20}$/) as string, name: 'openai_key-1' },
      ...{ currentVersion: 1, metadata: { owner: 'ä' } },
    });
    const { secretID } = made.json as { secretID: string };
    for (const idOrName of [secretID, 'openai_key-1', 'OPENAI_KEY-1'])
      expect(await get(idOrName)).toMatchObject({ status: 200, json: made.json });
    const list = await api.ask('GET', '/secrets');
    expect(list.json).toEqual([made.json]);
    expect(made.text + list.text + (await api.readLog())).not.toContain(canary);
  });

  it('gets versions; metadata stays unless it is given', async () => {
    const made = await create({ name: 'a', value: 'one', metadata: { k: 'v' } });
    const { secretID } = made.json as { secretID: string };
    const second = await api.ask('POST', `/secrets/${secretID}`, { body: { value: canary } });
    expect(second).toMatchObject({ status: 200, json: { secretID, currentVersion: 2, metadata: { k: 'v' } } });
    const third = await api.ask('POST', '/secrets/A', { body: { value: 'three', metadata: {} } });
    expect(third).toMatchObject({ status: 200, json: { secretID, currentVersion: 3, metadata: {} } });
    expect(second.text + (await api.readLog())).not.toContain(canary);
  });

  it('is stored encrypted, each version for its own number', async () => {
    await create({ name: 'a', value: canary });
    await api.ask('POST', '/secrets/a', { body: { value: 'two' } });
    const secret = await api.records.secrets.findByName(api.teamId, 'a');
    const sealed = await Promise.all([1, 2].map((n) => api.records.secrets.findSealedValue(secret?.id ?? '', n)));
    const place = (n: number) => ({
      ...{ table: 'secret_versions', row: secret?.id ?? '', field: `version ${n}`, team: api.teamId },
    });
    expect((await api.keyring.open(sealed[0] ?? '', place(1))).reveal()).toBe(canary);
    expect((await api.keyring.open(sealed[1] ?? '', place(2))).reveal()).toBe('two');
    await expect(api.keyring.open(sealed[0] ?? '', place(2))).rejects.toMatchObject({ reason: 'state_damaged' });
  });

  it('gets each of many versions at the same moment, and keeps the ten newest', async () => {
    await create({ name: 'a', value: 'one' });
    const answers = await Promise.all(
      Array.from({ length: 15 }, (_, n) => api.ask('POST', '/secrets/a', { body: { value: `v${n}` } })),
    );
    const numbers = answers.map(({ json }) => (json as { currentVersion: number }).currentVersion);
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 15 }, (_, n) => n + 2));
    const { id = '' } = (await api.records.secrets.findByName(api.teamId, 'a')) ?? {};
    const kept = await Promise.all(
      Array.from({ length: 16 }, (_, n) => api.records.secrets.findSealedValue(id, n + 1)),
    );
    expect(kept.map((value) => value !== undefined)).toEqual(Array.from({ length: 16 }, (_, n) => n >= 6));
  });

  it('is deleted by id or name, once', async () => {
    await create({ name: 'a', value: 'x' });
    expect((await api.ask('DELETE', '/secrets/A')).status).toBe(204);
    expect(await api.ask('DELETE', '/secrets/a')).toMatchObject({ status: 404, json: { code: 404 } });
    expect((await create({ name: 'a', value: 'x' })).json).toMatchObject({ currentVersion: 1 });
  });

  it('has a name of its own in the team, in any case', async () => {
    await create({ name: 'Token', value: 'x' });
    expect((await create({ name: 'tOKEN', value: 'y' })).status).toBe(409);
    expect((await create({ name: 'token', value: 'y' }, api.otherKey)).status).toBe(201);
  });

  it('looks to other teams as if it did not exist', async () => {
    const { secretID } = (await create({ name: 'a', value: 'x' })).json as { secretID: string };
    for (const idOrName of [secretID, 'a']) {
      expect((await get(idOrName, api.otherKey)).status).toBe(404);
      const path = `/secrets/${idOrName}`;
      expect((await api.ask('POST', path, { body: { value: 'y' }, key: api.otherKey })).status).toBe(404);
      expect((await api.ask('DELETE', path, { key: api.otherKey })).status).toBe(404);
    }
    expect((await api.ask('GET', '/secrets', { key: api.otherKey })).json).toEqual([]);
    expect((await api.ask('GET', '/secrets', { key: null })).status).toBe(401);
    expect((await get('a')).json).toMatchObject({ currentVersion: 1 });
  });

  it.each<[string, unknown]>([
    ['no name', { value: 'x' }],
    ['an empty name', { name: '', value: 'x' }],
    ['a name with a slash', { name: 'a/b', value: 'x' }],
    ['a name with a brace', { name: 'a}', value: 'x' }],
    ['a name with a line break', { name: 'a\n', value: 'x' }],
    ['a name like an id', { name: 'SEC_a', value: 'x' }],
    ['a long name', { name: 'a'.repeat(129), value: 'x' }],
    ['no value', { name: 'a' }],
    ['an empty value', { name: 'a', value: '' }],
    ['a value that is no text', { name: 'a', value: 5 }],
    ['a long value', { name: 'a', value: 'é'.repeat(32 * 1024 + 1) }],
    ['a broken surrogate pair', { name: 'a', value: '\ud800' }],
    [
      '33 entries of metadata',
      { name: 'a', value: 'x', metadata: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [n, ''])) },
    ],
    ['a long key of metadata', { name: 'a', value: 'x', metadata: { ['k'.repeat(129)]: '' } }],
    ['a long value of metadata', { name: 'a', value: 'x', metadata: { k: 'v'.repeat(1025) } }],
    [
      'too much metadata',
      {
        name: 'a',
        value: 'x',
        metadata: Object.fromEntries(Array.from({ length: 9 }, (_, n) => [n, 'v'.repeat(1000)])),
      },
    ],
    ['metadata that is no text', { name: 'a', value: 'x', metadata: { k: 1 } }],
  ])('is refused with %s, and the answer does not repeat the value', async (_, body) => {
    const answer = await create(body);
    expect(answer).toMatchObject({ status: 400, json: { code: 400 } });
    expect((await api.ask('GET', '/secrets')).json).toEqual([]);
  });

  it('is accepted at its limits', async () => {
    const metadata = Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`k${n}`, 'v'.repeat(1000)]));
    const body = { name: 'A'.repeat(128), value: 'x'.repeat(64 * 1024), metadata };
    expect((await create(body)).status).toBe(201);
  });
});

describe('the list of secrets', () => {
  it('is paged, newest first, each secret once', async () => {
    for (let n = 0; n < 7; n++) await create({ name: `s${n}`, value: 'x' });
    const names: string[] = [];
    let token: string | null = '';
    while (token !== null) {
      const next: string = token === '' ? '' : `&nextToken=${token}`;
      const page = await api.ask('GET', `/secrets?limit=3${next}`);
      names.push(...(page.json as { name: string }[]).map(({ name }) => name));
      token = page.headers.get('x-next-token');
    }
    expect(names.toSorted()).toEqual(['s0', 's1', 's2', 's3', 's4', 's5', 's6']);
  });

  it.each(['limit=0', 'limit=101', 'limit=x', 'nextToken=x', 'nextToken=MjAyNi0wMS0wMVQwMDowMDowMFpfXw'])(
    'refuses %s',
    async (query) => {
      expect((await api.ask('GET', `/secrets?${query}`)).status).toBe(400);
    },
  );
});

describe('the hosts of a secret', () => {
  it('are shown in the form in which they are compared, each once; without any there are none', async () => {
    const hosts = ['API.Example.com.', 'api.example.com', '*.bücher.example'];
    const made = await create({ name: 'a', value: canary, hosts });
    expect(made.json).toMatchObject({ hosts: ['api.example.com', '*.xn--bcher-kva.example'] });
    expect(await get('a')).toMatchObject({ json: { hosts: ['api.example.com', '*.xn--bcher-kva.example'] } });
    expect(await create({ name: 'b', value: canary })).toMatchObject({ status: 201, json: { hosts: [] } });
  });

  it('are replaced by an admin, with a record in the audit log', async () => {
    const made = await create({ name: 'a', value: canary, hosts: ['a.example'] });
    const { secretID } = made.json as { secretID: string };
    const changed = await api.ask('PATCH', '/secrets/A', { body: { hosts: ['b.example'] } });
    expect(changed).toMatchObject({ status: 200, json: { secretID, currentVersion: 1, hosts: ['b.example'] } });
    const waiting = await api.records.audit.listWaiting(api.teamId, 0, 100);
    const [record, ...others] = waiting.map(({ text }) => text).filter((text) => text.includes('secret.set-hosts'));
    expect(others).toEqual([]);
    expect(record).toContain(secretID);
    // SHA-256 of "b.example".
    expect(record).toContain(
      '"facts":{"count":1,"digest":"e8d39256ad2eb523741a6cecf390d3a0d0048250e14424a1b5cc458de18d49d3"}',
    );
    expect((await api.ask('PATCH', '/secrets/a', { body: { hosts: [] }, key: api.otherKey })).status).toBe(404);
    expect(await get('a')).toMatchObject({ json: { hosts: ['b.example'] } });
  });

  it.each([
    ...[['1.2.3.4'], ['*'], ['*.*.example'], ['a.*.example'], ['https://a.example'], ['a.example:443'], [''], ['a b']],
    ...[['a.example/'], ['[::1]'], 'a.example', [1], Array.from({ length: 51 }, (_, n) => `a${n}.example`)],
  ])('%j are refused', async (hosts) => {
    expect((await create({ name: 'a', value: canary, hosts })).status).toBe(400);
    await create({ name: 'a', value: canary, hosts: ['kept.example'] });
    expect((await api.ask('PATCH', '/secrets/a', { body: { hosts } })).status).toBe(400);
    expect((await api.ask('PATCH', '/secrets/a', { body: {} })).status).toBe(400);
    expect(await get('a')).toMatchObject({ json: { hosts: ['kept.example'] } });
  });
});
