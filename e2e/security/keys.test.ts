import { join } from 'node:path';
import { AuthenticationError, Sandbox } from 'e2b';
import { Filesystem } from '@soulbox/contract/filesystem';
import { Process } from '@soulbox/contract/process';
import { beforeAll, describe, expect, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import { ask, askApi, routes } from '../harness/http.ts';
import { createSandbox, sharedSandbox } from '../harness/sandbox.ts';
import { apiUrl, server } from '../harness/server.ts';

const cliMain = join(import.meta.dirname, '../../apps/cli/src/main.ts');
const sandbox = sharedSandbox();
const other = sharedSandbox();
const tokenOf = (made: Sandbox): string => (made as unknown as { envdAccessToken?: string }).envdAccessToken ?? '';

/** A key that a person creates on the host. */
async function createKey(name: string, ...flags: string[]): Promise<{ id: string; key: string }> {
  const { stdout } = await soulbox('key', 'create', name, '--json', ...flags);
  return JSON.parse(stdout) as { id: string; key: string };
}
const soulbox = async (...args: string[]) => await runNode([cliMain, ...args, '--data-dir', server.dataDirectory], {});

describe('keys through the official client', () => {
  let viewer: string;
  let creator: string;
  let developer: string;
  beforeAll(async () => {
    viewer = (await createKey('e2e viewer', '--role', 'viewer', '--expires', '30d')).key;
    creator = (await createKey('e2e creator', '--scope', 'create', '--scope', 'read')).key;
    developer = (await createKey('e2e developer', '--role', 'developer', '--template', 'base')).key;
  });

  test('a viewer sees a sandbox, but can neither enter, change nor create one', async () => {
    const id = sandbox().sandboxId;
    const info = await Sandbox.getInfo(id, { apiKey: viewer });
    expect(info.state).toBe('running');
    const pages = Sandbox.list({ apiKey: viewer });
    expect((await pages.nextItems()).map(({ sandboxId }) => sandboxId)).toContain(id);
    const refused = /scope "(?:create|run)"/;
    await expect(Sandbox.create({ apiKey: viewer })).rejects.toThrow(refused);
    await expect(Sandbox.connect(id, { apiKey: viewer })).rejects.toThrow(refused);
    await expect(Sandbox.kill(id, { apiKey: viewer })).rejects.toThrow(refused);
    await expect(Sandbox.pause(id, { apiKey: viewer })).rejects.toThrow(refused);
    expect(await sandbox().isRunning()).toBe(true);
    const answers = [`/sandboxes/${id}`, '/v2/sandboxes', '/sandboxes'].map((path) =>
      fetch(apiUrl + path, { headers: { 'x-api-key': viewer } }).then((answer) => answer.text()),
    );
    const texts = await Promise.all(answers);
    expect(texts[0]).toContain(id);
    expect(texts.join('')).not.toContain(tokenOf(sandbox()));
    expect(texts.join('')).not.toContain('envdAccessToken');
  });

  test('a key with the scope create alone gets a sandbox whose inside is closed to it', async () => {
    for (const path of ['/v2/sandboxes', '/sandboxes']) {
      const made = await askApi('POST', path, { templateID: 'base', timeout: 60 }, { 'x-api-key': creator });
      expect(made.status).toBe(201);
      expect(made.json).not.toHaveProperty('envdAccessToken');
      const { sandboxID } = made.json as { sandboxID: string };
      const headers = { ...routes.headers(sandboxID, 49983), 'content-type': 'application/json' };
      expect((await ask({ method: 'POST', path: '/process.Process/List', headers, body: '{}' })).status).toBe(401);
      await Sandbox.kill(sandboxID);
    }
  });

  test('a developer who is restricted to templates works with these as usual', async () => {
    const own = await createSandbox({ apiKey: developer });
    expect((await own.commands.run('echo hi')).stdout).toBe('hi\n');
    await own.pause();
    await own.connect();
    await expect(Sandbox.create('no-such-template', { apiKey: developer })).rejects.toThrow(
      /only from these templates: base/,
    );
    await expect(Sandbox.createSnapshot(own.sandboxId, { apiKey: developer })).rejects.toThrow(
      /restricted to templates/,
    );
    const keys = await askApi('GET', '/api-keys', undefined, { 'x-api-key': developer });
    expect(keys).toMatchObject({ status: 403, json: { code: 403 } });
  });

  test('a revoked key is refused from the next request on, and its sandbox goes on', async () => {
    const { id, key } = await createKey('e2e short-lived');
    const own = await Sandbox.create({ apiKey: key, timeoutMs: 60_000 });
    const command = await own.commands.run('sleep 3; echo done', { background: true });
    const revoked = await soulbox('key', 'revoke', id);
    expect(revoked.code).toBe(0);
    await expect(Sandbox.getInfo(own.sandboxId, { apiKey: key })).rejects.toThrow(AuthenticationError);
    await expect(own.setTimeout(60_000)).rejects.toThrow(AuthenticationError);
    // The stream into the sandbox belongs to the token of the sandbox, not to the key.
    expect((await command.wait()).stdout).toBe('done\n');
    await Sandbox.kill(own.sandboxId);
  });

  test('a run ends within 2 s after its key was revoked, and so does its program', async () => {
    const { id, key } = await createKey('e2e runner', '--scope', 'run');
    const answer = await fetch(`${apiUrl}/sandboxes/${sandbox().sandboxId}/run`, {
      method: 'POST',
      headers: { 'x-api-key': key, 'content-type': 'application/json', accept: 'application/x-ndjson' },
      body: JSON.stringify({ code: 'while true; do echo tick; sleep 0.2; done', language: 'bash', timeout: 120 }),
    });
    expect(answer.status).toBe(200);
    let text = '';
    let revokedAt = 0;
    for await (const chunk of (answer.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (revokedAt !== 0 || !text.includes('tick')) continue;
      await soulbox('key', 'revoke', id);
      revokedAt = performance.now();
    }
    expect(performance.now() - revokedAt).toBeLessThan(2000);
    const last = JSON.parse(text.trim().split('\n').at(-1) ?? '') as object;
    expect(last).toMatchObject({ type: 'error', code: 401, message: expect.stringMatching(/revoked/) as string });
    const left = await sandbox().commands.run('pgrep -fc "echo [t]ick" || true');
    expect(left.stdout.trim()).toBe('0');
  });

  test('an expired key is refused with its reason', async () => {
    const expiresAt = new Date(Date.now() + 1500).toISOString();
    const made = await askApi('POST', '/api-keys', { name: 'e2e expiring', role: 'viewer', expiresAt });
    const { key, id } = made.json as { key: string; id: string };
    const page = async (): Promise<unknown> => await Sandbox.list({ apiKey: key }).nextItems();
    await page();
    await new Promise((resolve) => setTimeout(resolve, 1600));
    await expect(page()).rejects.toThrow(/expired/);
    await expect(page()).rejects.toThrow(AuthenticationError);
    await askApi('DELETE', `/api-keys/${id}`);
  });
});

/** Every call of envd, from its descriptors, and what else needs the token. */
const calls = [
  ...[Process, Filesystem].flatMap(({ typeName, methods }) =>
    methods.map((method) => ({ method: 'POST', path: `/${typeName}/${method.name}`, body: '{}' })),
  ),
  { method: 'GET', path: '/metrics' },
  { method: 'GET', path: '/envs' },
  { method: 'GET', path: '/files?path=/etc/hostname' },
  { method: 'POST', path: '/files?path=/tmp/x', body: 'x' },
  { method: 'POST', path: '/files/compose', body: '{}' },
];

describe.each(calls)('envd: $method $path', ({ path, ...call }) => {
  const send = async (token?: string): Promise<number> => {
    const headers = {
      ...{ ...routes.headers(sandbox().sandboxId, 49983), 'content-type': 'application/json' },
      ...(token === undefined ? {} : { 'x-access-token': token }),
    };
    return (await ask({ ...call, path, headers })).status;
  };

  test('refuses no token, the token of another sandbox, an API key and malformed ones', async () => {
    const own = tokenOf(sandbox());
    const wrong = [
      undefined,
      '',
      tokenOf(other()),
      server.plain['E2B_API_KEY'],
      own.slice(1),
      `${own}x`,
      own.toUpperCase(),
    ];
    for (const token of [...wrong, `Bearer ${own}`, 'x'.repeat(4000), '{}'])
      expect([token, await send(token)]).toEqual([token, 401]);
    expect(await send(own)).not.toBe(401);
  });
});
