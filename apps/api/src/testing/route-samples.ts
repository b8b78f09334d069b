import { randomUUID } from 'node:crypto';
import { randomId } from '@soulbox/base';
import { requestBuild } from './build-template.ts';
import { exportedFile } from './scripted-exports.ts';
import { newPublicKey } from './ssh-client.ts';
import type { TestApi } from './test-api.ts';

/** A valid request for a route, about something that was made for it. */
export interface Sample {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  /** The id in the path; undefined if the route names nothing. */
  readonly id: string | undefined;
  /** The same request about another id. */
  with(id: string): string;
}

type Make = (api: TestApi) => Promise<string>;

const idIn = (json: unknown, member: string): string => String((json as Record<string, unknown>)[member]);

async function post(api: TestApi, path: string, body: unknown, member: string): Promise<string> {
  const { status, json, text } = await api.ask('POST', path, { body });
  if (status >= 300) throw new Error(`${path} returned ${status}: ${text}`);
  return idIn(json, member);
}

export const makeSandbox: Make = async (api) =>
  await post(api, '/v2/sandboxes', { templateID: 'base', timeout: 600 }, 'sandboxID');

const webhook = {
  ...{ name: 'n', url: 'http://127.0.0.1:9/', signatureSecret: 'a-secret-of-a-webhook' },
  events: ['sandbox.lifecycle.created'],
};

const newBucket = () => ({ name: `b${randomId(10)}`, url: 's3://bucket?region=eu-west-1' });

/** Makes what a path parameter names. The first parameter of a path is the thing; others are parts of it. */
const makers: Readonly<Record<string, Make>> = {
  sandboxID: makeSandbox,
  snapshotID: async (api) => await post(api, `/sandboxes/${await makeSandbox(api)}/snapshots`, {}, 'snapshotID'),
  templateID: async (api) => (await requestBuild(api, `t${randomId(10)}`)).templateID,
  alias: async (api) => {
    const name = `t${randomId(10)}`;
    await requestBuild(api, name);
    return name;
  },
  apiKeyID: async (api) => await post(api, '/api-keys', { name: 'k' }, 'id'),
  webhookID: async (api) => await post(api, '/events/webhooks', webhook, 'id'),
  secretID: async (api) => await post(api, '/secrets', { name: `s${randomId(10)}`, value: 'v' }, 'secretID'),
  sshKeyID: async (api) => await post(api, '/ssh-keys', { publicKey: newPublicKey() }, 'sshKeyID'),
  signingKeyID: async (api) => await post(api, '/signing-keys', { overlapSeconds: 60 }, 'id'),
  name: () => Promise.resolve('shop'),
  teamID: (api) => Promise.resolve(api.teamId),
  bucketID: async (api) => await post(api, '/buckets', newBucket(), 'bucketID'),
  volumeID: async (api) => {
    const id = await post(api, '/volumes', { name: `v${randomId(10)}` }, 'volumeID');
    api.volumes.files.set(`${id} /a`, Buffer.from('a'));
    return id;
  },
};

const parts: Readonly<Record<string, string>> = { hash: 'a'.repeat(64), secret: 'TOKEN', '*': 'checkpoint' };

const newSandbox = { templateID: 'base', timeout: 60 };
const code = { source: 'export default {};' };
const bodies: Readonly<Record<string, (api: TestApi) => unknown>> = {
  'POST /imports': async () => await exportedFile(),
  'POST /sandboxes': () => newSandbox,
  'POST /v2/sandboxes': () => newSandbox,
  'POST /sandboxes/:sandboxID/connect': () => ({ timeout: 60 }),
  'POST /sandboxes/:sandboxID/timeout': () => ({ timeout: 60 }),
  'PUT /sandboxes/:sandboxID/network': () => ({}),
  'PUT /api-keys/:apiKeyID/budgets': () => ({ budgets: [] }),
  'POST /sandboxes/:sandboxID/run': () => ({ code: 'end' }),
  'POST /v3/templates': () => ({ name: `t${randomId(10)}` }),
  'POST /v2/templates': () => ({ alias: `t${randomId(10)}`, name: `t${randomId(10)}` }),
  'PATCH /templates/:templateID': () => ({ public: false }),
  'PATCH /v2/templates/:templateID': () => ({ public: false }),
  'POST /v2/templates/:templateID/builds/:buildID': () => ({ fromImage: 'debian:stable' }),
  'POST /templates/tags': () => ({ target: 'extra', tags: ['next'] }),
  'DELETE /templates/tags': async (api) => {
    const tags = [`t${randomId(10)}`];
    await api.ask('POST', '/templates/tags', { body: { target: 'extra', tags } });
    return { name: 'extra', tags };
  },
  'POST /functions': () => ({ name: 'shop', ...code }),
  'POST /functions/:name/versions': () => code,
  'POST /functions/:name/rollback': () => ({}),
  'PUT /functions/:name/secrets': () => ({ secrets: { TOKEN: 'x' } }),
  'POST /api-keys': () => ({ name: 'k', role: 'viewer' }),
  'PATCH /api-keys/:apiKeyID': () => ({ name: 'renamed' }),
  'POST /events/webhooks': () => webhook,
  'PATCH /events/webhooks/:webhookID': () => ({ name: 'renamed' }),
  'POST /secrets': () => ({ name: `s${randomId(10)}`, value: 'v' }),
  'POST /secrets/:secretID': () => ({ value: 'w' }),
  'PATCH /secrets/:secretID': () => ({ hosts: ['api.example.com'] }),
  'POST /signing-keys': () => ({ overlapSeconds: 60 }),
  'POST /signed-urls': () => ({ url: '/teams' }),
  'POST /personal-tokens': () => ({ name: 't' }),
  'POST /ssh-keys': () => ({ publicKey: newPublicKey() }),
  'POST /personal-ssh-keys': () => ({ publicKey: newPublicKey() }),
  'POST /buckets': newBucket,
  'PATCH /buckets/:bucketID': () => ({ readOnly: true }),
  'POST /volumes': () => ({ name: `v${randomId(10)}` }),
  'PATCH /volumecontent/:volumeID/path': () => ({ mode: 0o600 }),
  'PUT /volumecontent/:volumeID/file': () => 'contents',
  'PATCH /teams/:teamID/limits': () => ({ sandboxes: 'default' }),
};

const queries: Readonly<Record<string, string>> = {
  'GET /sandboxes/metrics': '?sandbox_ids=iaaaaaaaaaaaaaaaaaaaa',
  'POST /volumecontent/:volumeID/rename': '?path=/a&to=/b',
};
const queryOf = (route: string): string => queries[route] ?? (route.includes(' /volumecontent/') ? '?path=/a' : '');

/**
 * A valid request for a route of the table, such as `POST /sandboxes/:sandboxID/pause`. What it names is made first,
 * unless `isReal` is false.
 */
export async function sampleOf(api: TestApi, route: string, { isReal }: { readonly isReal: boolean }): Promise<Sample> {
  const [method = '', pattern = ''] = route.split(' ');
  const param = /:(\w+)/.exec(pattern)?.[1];
  const build = isReal && pattern.includes(':buildID') ? await requestBuild(api, `t${randomId(10)}`) : undefined;
  const made = isReal && param !== undefined && !(param in parts) ? makers[param] : undefined;
  const id = build?.templateID ?? (await made?.(api));
  const fill = (thing: string): string =>
    pattern
      .replace(`:${param ?? ''}`, thing)
      .replace(':buildID', build?.buildID ?? randomUUID())
      .replace(/:(\w+)|\*$/g, (_, part: string | undefined) => parts[part ?? '*'] ?? '') + queryOf(route);
  const body: unknown = await bodies[route]?.(api);
  return { method, path: fill(id ?? 'x'), id, with: fill, ...(body === undefined ? {} : { body }) };
}
