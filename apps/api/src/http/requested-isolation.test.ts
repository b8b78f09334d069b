import { createApiKey } from '@soulbox/storage';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { requestBuild, runnerSide } from '../testing/build-template.ts';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(async () => {
  await api[Symbol.asyncDispose]();
});

const header = (value: string) => ({ 'X-Soulbox-Isolation': value });
const metadata = (value: string) => ({ metadata: { 'soulbox.isolation': value, own: 'x' } });

interface Ask {
  readonly body?: object;
  readonly headers?: Record<string, string>;
  readonly key?: string;
}
const create = async ({ body = {}, ...more }: Ask) =>
  await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base', ...body }, ...more });

describe('the isolation of a create', () => {
  it.each<[string, Ask]>([
    ['the field', { body: { isolation: 'gvisor' } }],
    ['the header', { headers: header('gvisor') }],
    ['the metadata', { body: metadata('gvisor') }],
    ['all of them', { body: { isolation: 'gvisor', ...metadata('gvisor') }, headers: header('gvisor') }],
  ])('is what %s says, and every response shows it', async (_where, ask) => {
    for (const path of ['/v2/sandboxes', '/sandboxes']) {
      const made = await api.ask('POST', path, { ...ask, body: { templateID: 'base', ...ask.body } });
      expect([made.status, made.json]).toEqual([201, expect.objectContaining({ isolation: 'gvisor' })]);
      expect(api.runner.creates.at(-1)).toMatchObject({ isolation: 'gvisor' });
      const { sandboxID } = made.json as { sandboxID: string };
      const connected = await api.ask('POST', `/v2/sandboxes/${sandboxID}/connect`);
      expect(connected.json).toMatchObject({ isolation: 'gvisor' });
      const [forked] = (await api.ask('POST', `/sandboxes/${sandboxID}/fork`)).json as { sandbox: object }[];
      expect(forked?.sandbox).toMatchObject({ isolation: 'gvisor' });
      const snapshot = await api.ask('POST', `/sandboxes/${sandboxID}/snapshots`, { body: {} });
      expect(snapshot.json).toMatchObject({ isolation: 'gvisor' });
    }
  });

  it('stays in the metadata of its sandbox, unchanged', async () => {
    const { json } = await create({ body: metadata('gvisor') });
    const { sandboxID } = json as { sandboxID: string };
    expect((await api.ask('GET', `/sandboxes/${sandboxID}`)).json).toMatchObject(metadata('gvisor'));
  });

  it.each<[string, Ask]>([
    ['an unknown one in the header', { headers: header('vm') }],
    ['an empty one in the header', { headers: header('') }],
    ['two in the header', { headers: header('gvisor, container') }],
    ['one in other letters', { headers: header('gVisor') }],
    ['an unknown one in the metadata', { body: metadata('firecracker') }],
    ['an empty one in the metadata', { body: metadata('') }],
  ])('is refused with the list of valid values when it is %s', async (_what, ask) => {
    const answer = await create(ask);
    expect(answer.json).toEqual({ code: 400, message: expect.stringContaining('container or gvisor') as string });
    expect(api.runner.creates).toEqual([]);
  });

  it.each<[string, Ask]>([
    ['field and header', { body: { isolation: 'gvisor' }, headers: header('container') }],
    ['field and metadata', { body: { isolation: 'container', ...metadata('gvisor') } }],
    ['header and metadata', { body: metadata('gvisor'), headers: header('container') }],
  ])('is refused when %s contradict each other', async (_what, ask) => {
    const answer = await create(ask);
    expect(answer.json).toEqual({ code: 400, message: expect.stringContaining('Choose one isolation') as string });
    expect(api.runner.creates).toEqual([]);
  });

  it('is not read from other metadata with this prefix, which is reserved for us', async () => {
    expect((await create({ body: { metadata: { 'soulbox.function': 'x' } } })).status).toBe(400);
  });
});

describe('a key with an isolation', () => {
  let key: string;
  beforeEach(async () => {
    key = (await createApiKey(api.records, { id: api.teamId }, 'walled', { isolation: 'gvisor' })).key.reveal();
  });

  it('applies to requests that specify none, and to no others', async () => {
    await create({ key });
    await create({ key, body: { isolation: 'container' } });
    await create({ key, headers: header('container') });
    await create({});
    expect(api.runner.creates.map(({ isolation }) => isolation)).toEqual(['gvisor', 'container', 'container', '']);
  });

  it('is created, listed and renamed by the API', async () => {
    const made = await api.ask('POST', '/api-keys', { body: { name: 'ci', isolation: 'gvisor' } });
    expect([made.status, made.json]).toEqual([201, expect.objectContaining({ isolation: 'gvisor' })]);
    const { id, key: value } = made.json as { id: string; key: string };
    expect((await api.ask('PATCH', `/api-keys/${id}`, { body: { name: 'other' } })).status).toBe(200);
    const listed = (await api.ask('GET', '/api-keys')).json as { name: string; isolation: string | null }[];
    expect(listed.map(({ name, isolation }) => [name, isolation])).toEqual(
      expect.arrayContaining([
        ['other', 'gvisor'],
        ['first', null],
      ]),
    );
    await create({ key: value });
    expect(api.runner.creates.at(-1)).toMatchObject({ isolation: 'gvisor' });
    expect((await api.ask('POST', '/api-keys', { body: { name: 'x', isolation: 'vm' } })).status).toBe(400);
  });

  it('applies to builds that specify none', async () => {
    const start = async (name: string, body: object, more: Omit<Ask, 'body'>): Promise<unknown> => {
      const build = await requestBuild(api, name);
      const path = `/v2/templates/${build.templateID}/builds/${build.buildID}`;
      const answer = await api.ask('POST', path, { body: { fromTemplate: 'base', steps: [], ...body }, ...more });
      if (answer.status !== 202) return answer.json;
      return (await runnerSide(api, build.buildID)).request.isolation;
    };
    expect(await start('a', {}, { key })).toBe('gvisor');
    expect(await start('b', { isolation: 'container' }, { key })).toBe('container');
    expect(await start('c', {}, { headers: header('gvisor') })).toBe('gvisor');
    expect(await start('d', {}, {})).toBe('');
    expect(await start('e', { isolation: 'vm' }, {})).toMatchObject({ code: 400 });
    expect(await start('f', { isolation: 'gvisor' }, { headers: header('container') })).toMatchObject({ code: 400 });
  });
});
