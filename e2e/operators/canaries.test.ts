/** @module-tag violation */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomId, removeTree } from '@soulbox/base';
import { startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ownInstance } from '../harness/own-instance.ts';
import { server as shared } from '../harness/server.ts';
import { until } from '../harness/until.ts';

/** Secrets by kind. Each is used in requests that succeed and in requests that fail. */
const canaries = new Map<string, string>();
const canary = (kind: string): string => {
  const value = canaries.get(kind) ?? `canary-${randomId(20)}`;
  canaries.set(kind, value);
  return value;
};
/** Bodies of responses with an error, by request. */
const errors: { readonly request: string; readonly text: string }[] = [];
let server: ServerProcess;
let apiUrl: string;
let apiKey: string;

beforeAll(async () => {
  const environment = {
    ...{ SOULBOX_ISOLATION: shared.isolation, SOULBOX_LOG_LEVEL: 'debug' },
    SOULBOX_WEBHOOK_ALLOW_PRIVATE: '127.0.0.1',
  };
  server = await startServer({ instance: ownInstance(), poolSize: 1, environment });
  ({ E2B_API_URL: apiUrl = '', E2B_API_KEY: apiKey = '' } = server.clientEnvironment);
});
afterAll(async () => {
  await server.stop();
  await removeTree(server.dataDirectory);
});

interface Asked {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly key?: string;
}

async function ask(method: string, path: string, { body, headers, key = apiKey }: Asked = {}) {
  const answer = await fetch(path.startsWith('http') ? path : apiUrl + path, {
    method,
    headers: { 'x-api-key': key, 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (answer.status >= 400) errors.push({ request: `${method} ${path.replace(apiUrl, '')}`, text });
  const json =
    answer.headers.get('content-type')?.includes('json') === true ? (JSON.parse(text) as unknown) : undefined;
  return { status: answer.status, text, json: json as Record<string, unknown> };
}

/** Every log of the server, and every record of the audit log. */
async function readLogs(): Promise<string> {
  const entries = await readdir(server.dataDirectory, { recursive: true, withFileTypes: true });
  const logs = entries.filter((entry) => entry.isFile() && /\.(?:log|jsonl)(?:\.\d+)?$/.test(entry.name));
  const texts = logs.map(async (entry) => await readFile(join(entry.parentPath, entry.name), 'utf8'));
  const bundles = entries.filter((entry) => entry.isFile() && entry.parentPath.includes('/audit/'));
  // The log renames what it has written, and removes the part of a tile when the tile is full.
  const records = bundles.map(async (entry) => {
    const file = join(entry.parentPath, entry.name);
    return await readFile(file, 'latin1').catch((error: unknown) => {
      if (existsSync(file)) throw error;
      return '';
    });
  });
  return (await Promise.all([...texts, ...records])).join('\n');
}

/** The ways in which a secret can be written. */
const formsOf = (secret: string): string[] => [
  secret,
  Buffer.from(secret).toString('base64').replaceAll('=', ''),
  Buffer.from(secret).toString('base64url'),
  Buffer.from(secret).toString('hex'),
  JSON.stringify([...Buffer.from(secret)]).slice(1, -1),
];

async function useKeys(): Promise<void> {
  const made = await ask('POST', '/api-keys', { body: { name: 'canaries' } });
  const { key, id } = made.json as { key: string; id: string };
  canaries.set('API key', key);
  expect((await ask('GET', '/v2/sandboxes', { key })).status).toBe(200);
  expect((await ask('DELETE', `/api-keys/${id}`)).status).toBe(204);
  expect((await ask('GET', '/v2/sandboxes', { key })).status).toBe(401);
  expect((await ask('GET', '/v2/sandboxes', { key: `e2b_${canary('wrong API key')}` })).status).toBe(401);
  const headers = { authorization: `Bearer ${canary('bearer token')}`, cookie: `session=${canary('cookie')}` };
  await ask('GET', `/metrics?token=${canary('query')}`, { key: '', headers });
  await ask('GET', `/nowhere?token=${canary('query')}`, { headers: { 'x-custom': canary('header') } });
}

async function useSecrets(): Promise<void> {
  const value = canary('secret value');
  expect((await ask('POST', '/secrets', { body: { name: 'canary', value } })).status).toBe(201);
  expect((await ask('POST', '/secrets/canary', { body: { value } })).status).toBe(200);
  expect((await ask('POST', '/secrets', { body: { name: 'canary', value } })).status).toBe(409);
  expect((await ask('POST', '/secrets', { body: { name: 'not a name', value } })).status).toBe(400);
  expect((await ask('POST', '/secrets', { body: { name: 'n', value: value.repeat(3000) } })).status).toBe(400);
  expect((await ask('POST', '/secrets', { body: `{"name":"n","value":"${value}` })).status).toBe(400);
  expect((await ask('POST', '/secrets', { body: { name: 'n', value: [value] } })).status).toBe(400);
  expect((await ask('POST', '/secrets', { body: { name: 'n', [value]: value } })).status).toBe(400);
  await ask('PUT', '/functions/none/secrets', { body: { TOKEN: value } });
  const webhook = { name: 'w', url: 'http://127.0.0.1:1/', enabled: true, events: ['sandbox.lifecycle.created'] };
  const credentials = { accessKeyId: 'a', secretAccessKey: canary('bucket credentials') };
  const bucket = { name: 'canary', url: 's3://bucket?endpoint=https://10.0.0.1' };
  expect((await ask('POST', '/buckets', { body: { ...bucket, url: 's3://bucket', credentials } })).status).toBe(201);
  expect((await ask('PATCH', '/buckets/canary', { body: { credentials } })).status).toBe(200);
  expect((await ask('POST', '/buckets', { body: { ...bucket, credentials } })).status).toBe(400);
  expect(
    (await ask('POST', '/buckets', { body: { ...bucket, url: `s3://${credentials.secretAccessKey}@b` } })).status,
  ).toBe(400);
  expect(
    (await ask('PATCH', '/buckets/canary', { body: { credentials: { accountKey: credentials.secretAccessKey } } }))
      .status,
  ).toBe(400);
  const signatureSecret = canary('webhook secret').padEnd(40, 'x');
  expect((await ask('POST', '/events/webhooks', { body: { ...webhook, signatureSecret } })).status).toBe(201);
  await ask('POST', '/events/webhooks', { body: { ...webhook, url: 'nowhere', signatureSecret } });
  await ask('POST', '/events/webhooks', { body: { ...webhook, url: 'http://10.0.0.1/', signatureSecret } });
}

async function useSandbox(): Promise<string> {
  const envVars = { SECRET: canary('variable') };
  expect((await ask('POST', '/v2/sandboxes', { body: { templateID: 'none', envVars } })).status).toBe(404);
  expect((await ask('POST', '/v2/sandboxes', { body: { templateID: 'base', envVars: [envVars] } })).status).toBe(400);
  expect((await ask('POST', '/v2/sandboxes', { body: { templateID: 'base', timeout: -1, envVars } })).status).toBe(400);
  const { E2B_SANDBOX_URL: sandboxUrl } = server.clientEnvironment;
  const connection = { apiKey, apiUrl, ...(sandboxUrl === undefined ? {} : { sandboxUrl }) };
  const sandbox = await Sandbox.create('base', { ...connection, envs: envVars });
  const envs = { COMMAND_SECRET: canary('variable of a command') };
  expect((await sandbox.commands.run(`echo ${canary('command')} $COMMAND_SECRET`, { envs })).stdout).toContain(
    'canary',
  );
  await expect(sandbox.commands.run(`exit 3 # ${canary('command')}`, { envs })).rejects.toThrow();
  await expect(sandbox.commands.run('true', { envs, cwd: '/none' })).rejects.toThrow();
  await sandbox.files.write('/home/user/file', canary('content of a file'));
  await expect(sandbox.files.write('/proc/none/file', canary('content of a file'))).rejects.toThrow();
  const token = (await ask('GET', `/sandboxes/${sandbox.sandboxId}`)).json['envdAccessToken'];
  if (typeof token === 'string') canaries.set('access token', token);
  const id = sandbox.sandboxId;
  for (const given of [token, canary('wrong access token')])
    await ask('GET', `${server.clientEnvironment['E2B_SANDBOX_URL'] ?? apiUrl}/files?path=/none&username=user`, {
      headers: { 'x-access-token': String(given), 'e2b-sandbox-id': id, 'e2b-sandbox-port': '49983' },
    });
  await ask('GET', `${server.clientEnvironment['E2B_SANDBOX_URL'] ?? apiUrl}/?token=${canary('query')}`, {
    headers: {
      'e2b-sandbox-id': id,
      'e2b-sandbox-port': '8080',
      'x-custom': canary('header'),
      cookie: canary('cookie'),
    },
  });
  await sandbox.pause();
  await sandbox.connect();
  return id;
}

async function useSignedUrls(id: string): Promise<void> {
  const sign = async (once: boolean): Promise<URL> => {
    const body = { url: `${apiUrl}/sandboxes/${id}/logs`, once };
    return new URL(String((await ask('POST', '/signed-urls', { body })).json['url']));
  };
  const [url, once] = [await sign(false), await sign(true)];
  for (const [name, one] of [
    ['signature', url],
    ['signature of a one-time URL', once],
  ] as const)
    canaries.set(name, one.searchParams.get('soulbox-signature') ?? '');
  const get = async (target: URL): Promise<number> => {
    const answer = await fetch(target);
    const text = await answer.text();
    if (answer.status >= 400) errors.push({ request: 'a signed URL', text });
    return answer.status;
  };
  expect([await get(url), await get(once), await get(once)]).toEqual([200, 200, 409]);
  const changed = new URL(url);
  changed.pathname = '/sandboxes/none/logs';
  expect(await get(changed)).toBe(401);
}

async function useRegistry(): Promise<void> {
  const { templateID, buildID } = (await ask('POST', '/v3/templates', { body: { name: 'canary' } })).json;
  const registry = { type: 'registry', username: 'user', password: canary('registry password') };
  const build = { fromImage: '127.0.0.1:1/none:latest', fromImageRegistry: registry, steps: [] };
  await ask('POST', `/v2/templates/${String(templateID)}/builds/${String(buildID)}`, {
    body: { ...build, force: 'x' },
  });
  const path = `/v2/templates/${String(templateID)}/builds/${String(buildID)}`;
  expect((await ask('POST', path, { body: build })).status).toBe(202);
  const status = `/templates/${String(templateID)}/builds/${String(buildID)}/status?logsOffset=0`;
  await until('the end of the build', async () => (await ask('GET', status)).json['status'] === 'error');
  errors.push({ request: 'log of the build', text: (await ask('GET', status)).text });
}

test('no secret is in any log, in the audit log, or in the answer to a request that fails', async () => {
  await useKeys();
  await useSecrets();
  const id = await useSandbox();
  await useSignedUrls(id);
  await useRegistry();
  await until('the published records', async () => (await readLogs()).includes('"action":"signed-url.use"'));
  await server.stop();
  const logs = await readLogs();
  // The search finds what is logged: ids of each process's own lines, and the record of an action.
  for (const part of ['gateway', 'api', 'runner', 'control']) expect(logs).toContain(`"part":"${part}"`);
  expect(logs).toContain(id);
  expect(logs).toContain('"action":"secret.update"');
  expect(errors.length).toBeGreaterThan(20);
  expect(canaries.size).toBeGreaterThan(15);
  const found: string[] = [];
  for (const [kind, secret] of canaries) {
    expect(secret.length).toBeGreaterThan(15);
    for (const form of formsOf(secret)) {
      const line = logs.split('\n').find((text) => text.includes(form));
      if (line !== undefined) found.push(`${kind} in a log: ${line.slice(0, 300)}`);
      for (const { request, text } of errors)
        if (text.includes(form)) found.push(`${kind} in the answer to ${request}: ${text.slice(0, 300)}`);
    }
  }
  expect(found).toEqual([]);
}, 180_000);
