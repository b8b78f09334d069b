import { Secret, SecretError, SecretNotFoundError } from 'e2b';
import { afterEach, expect, test } from 'vitest';
import '../harness/server.ts';

// The unmodified client on `/secrets`. Placeholders are not resolved yet (docs/secrets.md).
const made: string[] = [];
afterEach(async () => {
  for (const name of made.splice(0)) await Secret.destroy(name);
});
async function create(name: string, value: string, metadata?: Record<string, string>) {
  made.push(name);
  return await Secret.create(name, value, metadata === undefined ? {} : { metadata });
}

test('a secret is created, read, given a new version, and destroyed; no answer has its value', async () => {
  const secret = await create('E2E_Token', 'canary-one', { owner: 'me' });
  expect(secret).toMatchObject({ name: 'e2e_token', version: 1, metadata: { owner: 'me' } });
  expect(secret.secretId).toMatch(/^sec_/);
  expect(await Secret.getInfo('e2e_TOKEN')).toEqual(secret);
  expect(await Secret.getInfo(secret.secretId)).toEqual(secret);
  const second = await Secret.update('e2e_token', 'canary-two');
  expect(second).toMatchObject({ secretId: secret.secretId, version: 2, metadata: { owner: 'me' } });
  expect(second.updatedAt.getTime()).toBeGreaterThanOrEqual(secret.updatedAt.getTime());
  expect(JSON.stringify([secret, second])).not.toContain('canary');
  expect(await Secret.exists(secret.secretId)).toBe(true);
  expect(await Secret.destroy('e2e_token')).toBe(true);
  expect(await Secret.destroy('e2e_token')).toBe(false);
  expect(await Secret.exists('e2e_token')).toBe(false);
});

test('the client gets its own errors for a missing secret, a taken name and a bad one', async () => {
  await expect(Secret.getInfo('missing')).rejects.toBeInstanceOf(SecretNotFoundError);
  await expect(Secret.update('sec_missing', 'x')).rejects.toBeInstanceOf(SecretNotFoundError);
  await create('taken', 'x');
  await expect(Secret.create('TAKEN', 'y')).rejects.toThrow(/^409: /);
  await expect(Secret.create('not allowed', 'y')).rejects.toBeInstanceOf(SecretError);
});

test('the list is read by page', async () => {
  for (let n = 0; n < 5; n++) await create(`page${n}`, 'x');
  const paginator = Secret.list({ limit: 2 });
  const names: string[] = [];
  while (paginator.hasNext) names.push(...(await paginator.nextItems()).map(({ name }) => name));
  expect(names.filter((name) => name.startsWith('page')).sort()).toEqual(['page0', 'page1', 'page2', 'page3', 'page4']);
});
