// Rules for requests, through the unmodified client. The internet is in another network namespace, with a CA of its own.
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox, Secret } from 'e2b';
import type { SandboxOpts } from 'e2b';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ownInstance } from '../harness/own-instance.ts';
import { openOutside } from '../harness/outside.ts';
import type { Outside } from '../harness/outside.ts';
import { server as shared } from '../harness/server.ts';

const instance = ownInstance();
const nameServer = '45.67.93.53';
const [ruled, other] = ['45.67.93.10', '45.67.93.11'] as const;
const canary = 'canary-value-of-the-secret';

let folder: string;
let server: ServerProcess;
let outside: Outside;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-rules-'));
  const file = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...newKey, '-subj', '/CN=Internet CA', '-keyout', file('ca.key'), '-out', file('ca.pem'));
  openssl('req', ...newKey, '-subj', '/CN=host', '-keyout', file('host.key'), '-out', file('host.csr'));
  await writeFile(file('names'), 'subjectAltName=DNS:ruled.test,DNS:*.ruled.test,DNS:other.test\n');
  const signed = ['-req', '-days', '2', '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-extfile', file('names')];
  openssl('x509', ...signed, '-in', file('host.csr'), '-out', file('host.pem'));
  const names = { 'ruled.test': [ruled], 'deep.ruled.test': [ruled], 'other.test': [other] };
  const argument = JSON.stringify({
    ...{ dns: nameServer, names },
    key: await readFile(file('host.key'), 'utf8'),
    certificate: await readFile(file('host.pem'), 'utf8'),
  });
  outside = await openOutside([nameServer, ruled, other], { program: 'internet.mjs', argument });
  server = await startServer({
    ...{ instance, poolSize: 1 },
    environment: {
      SOULBOX_ISOLATION: shared.isolation,
      SOULBOX_NAME_SERVERS: nameServer,
      SOULBOX_EGRESS_CA_FILE: file('ca.pem'),
    },
  });
});
afterAll(async () => {
  await server.stop();
  await removeTree(server.dataDirectory);
  await outside[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const connection = (): { apiUrl: string; sandboxUrl: string; apiKey: string } => ({
  apiUrl: server.clientEnvironment['E2B_API_URL'] ?? '',
  sandboxUrl: server.clientEnvironment['E2B_SANDBOX_URL'] ?? '',
  apiKey: server.clientEnvironment['E2B_API_KEY'] ?? '',
});

async function create(rules: NonNullable<SandboxOpts['network']>['rules']): Promise<Sandbox> {
  const sandbox = await Sandbox.create({ ...connection(), network: rules === undefined ? {} : { rules } });
  onTestFinished(async () => {
    await sandbox.kill();
  });
  return sandbox;
}

interface Seen {
  readonly headers: Record<string, string>;
}

const clients = {
  curl: (url: string) => `curl -sS -m 10 ${url}`,
  python: (url: string) => `python3 -c "import urllib.request as r; print(r.urlopen('${url}').read().decode())"`,
  node: (url: string) => `node -e "fetch('${url}').then((a) => a.text()).then(console.log)"`,
};

/** What the host saw of a request with this client. */
async function seenBy(sandbox: Sandbox, client: keyof typeof clients, url: string): Promise<Seen> {
  const { stdout } = await sandbox.commands.run(clients[client](url));
  return JSON.parse(stdout) as Seen;
}

describe('headers of a rule', () => {
  test.each(Object.keys(clients) as (keyof typeof clients)[])(
    'are set for %s, which trusts the sandbox CA',
    async (client) => {
      const sandbox = await create({ 'ruled.test': [{ transform: { headers: { 'X-Api-Key': 'own' } } }] });
      expect((await seenBy(sandbox, client, 'https://ruled.test/path')).headers).toMatchObject({ 'x-api-key': 'own' });
    },
  );

  test('do not go to other hosts, whose certificates the sandbox checks itself', async () => {
    const sandbox = await create({ 'ruled.test': [{ transform: { headers: { 'X-Api-Key': 'own' } } }] });
    const { exitCode } = await sandbox.commands
      .run('curl -sS -m 5 https://other.test/ || exit 7; exit 0', { timeoutMs: 10_000 })
      .catch((error: unknown) => error as { exitCode: number });
    // Nobody inside trusts the CA of that internet.
    expect(exitCode).toBe(7);
    const { stdout } = await sandbox.commands.run('curl -sSk -m 5 https://other.test/');
    expect(stdout).not.toContain('x-api-key');
  });

  test('of the exact name beat those of a wildcard', async () => {
    const sandbox = await create({
      '*.ruled.test': [{ transform: { headers: { 'x-rule': 'wildcard' } } }],
      'deep.ruled.test': [{ transform: { headers: { 'x-rule': 'exact' } } }],
    });
    expect((await seenBy(sandbox, 'curl', 'https://deep.ruled.test/')).headers['x-rule']).toBe('exact');
  });

  test('apply after an update of a running sandbox, and in its fork', async () => {
    const sandbox = await create(undefined);
    await sandbox.updateNetwork({ rules: { 'ruled.test': [{ transform: { headers: { 'x-late': '1' } } }] } });
    expect((await seenBy(sandbox, 'python', 'https://ruled.test/')).headers['x-late']).toBe('1');
    await sandbox.pause();
    const resumed = await Sandbox.connect(sandbox.sandboxId, connection());
    expect((await seenBy(resumed, 'node', 'https://ruled.test/')).headers['x-late']).toBe('1');
  });
});

test('the value of a secret reaches the host and nothing inside the sandbox', async () => {
  await Secret.create('canary', canary, connection());
  const sandbox = await create({
    'ruled.test': [{ transform: { headers: { authorization: 'Bearer ${e2b.secrets.canary}' } } }],
  });
  const { stdout } = await sandbox.commands.run(clients.curl('https://ruled.test/'));
  // The host repeats its headers.
  expect((JSON.parse(stdout) as Seen).headers['authorization']).toBe(`Bearer ${'*'.repeat(canary.length)}`);
  const found = await sandbox.commands.run(
    `grep -rlas ${canary.slice(0, 12)}-v /proc/[0-9]*/environ /etc /run /tmp /home | head; env; true`,
    { user: 'root' },
  );
  expect(found.stdout).not.toContain(canary);
  const plain = await sandbox.commands.run('curl -sS -m 5 http://ruled.test/');
  expect(plain.stdout).toContain('placeholder_failed');
});

test('a secret goes only to the hosts that it names, from the next connection on', async () => {
  const ask = async (method: string, path: string, body?: object): Promise<unknown> => {
    const { apiUrl, apiKey } = connection();
    const headers = { 'x-api-key': apiKey, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
    const response = await fetch(apiUrl + path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
    expect(response.ok).toBe(true);
    return await response.json();
  };
  await ask('POST', '/secrets', { name: 'bound', value: canary, hosts: ['*.ruled.test'] });
  const rule = [{ transform: { headers: { authorization: 'Bearer ${e2b.secrets.bound}' } } }];
  const sandbox = await create({ 'ruled.test': rule, '*.ruled.test': rule });
  const sent = async (host: string) => (await seenBy(sandbox, 'curl', `https://${host}/`)).headers['authorization'];
  expect(await sent('deep.ruled.test')).toBe(`Bearer ${'*'.repeat(canary.length)}`);
  const refused = await sandbox.commands.run('curl -sSi -m 5 https://ruled.test/');
  expect(refused.stdout).toMatch(/^HTTP\/\S+ 403[^]*x-soulbox-egress: secret_host_refused/);
  expect(refused.stdout).not.toMatch(/canary|secrets\.bound/);
  const path = `/sandboxes/${sandbox.sandboxId}/connections?allowed=false`;
  await expect
    .poll(async () => await ask('GET', path))
    .toContainEqual(expect.objectContaining({ name: 'ruled.test', reason: 'secret_host_refused' }));

  await ask('PATCH', '/secrets/bound', { hosts: ['ruled.test'] });
  expect(await sent('ruled.test')).toBe(`Bearer ${'*'.repeat(canary.length)}`);
  const late = await sandbox.commands.run('curl -sSi -m 5 https://deep.ruled.test/');
  expect(late.stdout).toContain('secret_host_refused');
});
