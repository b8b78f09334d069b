import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditRecord } from '@soulbox/audit';
import { SandboxState } from '@soulbox/contract/runner';
import type { SshAdmission } from '@soulbox/contract/ssh-service';
import { makeSshKey } from '../testing/ssh-client.ts';
import type { TestSshKey } from '../testing/ssh-client.ts';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';
import { makePerson, signedInPeople } from '../testing/test-person.ts';
import { makeSandbox } from '../testing/route-samples.ts';

let api: TestApi;
let sandboxId: string;
let key: TestSshKey;
const now = { value: Date.now() };
beforeEach(async () => {
  now.value = Date.now();
  api = await startTestApi({ config: signedInPeople, clock: { now: () => now.value } });
  sandboxId = await makeSandbox(api);
  key = makeSshKey();
});
afterEach(() => api[Symbol.asyncDispose]());

async function add(more: object = {}, options: { key?: string } = {}): Promise<string> {
  const answer = await api.ask('POST', '/ssh-keys', { body: { publicKey: key.line, ...more }, ...options });
  expect([answer.status, answer.text]).toMatchObject([201, expect.any(String)]);
  return (answer.json as { sshKeyID: string }).sshKeyID;
}
const enter = async (user = sandboxId, more = {}): Promise<SshAdmission> =>
  await api.ssh.authorize(key.attempt(user, more));
const refused = { reason: 'unauthorized', message: 'The key does not open a sandbox of this name.' };

describe('SSH keys of a team', () => {
  it('are added once, listed and removed by their team only', async () => {
    const id = await add();
    const listed = (await api.ask('GET', '/ssh-keys')).json as object[];
    expect(listed).toMatchObject([{ sshKeyID: id, name: 'me@laptop', algorithm: 'ssh-ed25519', templates: null }]);
    expect((await api.ask('POST', '/ssh-keys', { body: { publicKey: key.line } })).status).toBe(409);
    expect((await api.ask('GET', '/ssh-keys', { key: api.otherKey })).json).toEqual([]);
    expect((await api.ask('DELETE', `/ssh-keys/${id}`, { key: api.otherKey })).status).toBe(404);
    expect((await api.ask('DELETE', `/ssh-keys/${id}`)).status).toBe(204);
    expect((await api.ask('DELETE', `/ssh-keys/${id}`)).status).toBe(404);
  });

  it('can be those of another team too: nobody can take a public key', async () => {
    await add({}, { key: api.otherKey });
    await expect(enter()).rejects.toMatchObject(refused);
    const id = await add();
    expect(await enter()).toMatchObject({ sandboxId, keyId: id, fault: '' });
  });

  it('are not added by a key that may not run, nor for longer than it lives', async () => {
    const made = await api.ask('POST', '/api-keys', {
      body: { name: 'k', scopes: ['admin'], expiresAt: new Date(now.value + 60_000).toISOString() },
    });
    const weak = (made.json as { key: string }).key;
    const answer = await api.ask('POST', '/ssh-keys', { key: weak, body: { publicKey: key.line } });
    expect(answer.json).toMatchObject({ code: 403, message: expect.stringContaining('"run"') as string });
  });

  it.each([
    ['no key', {}],
    ['a private key', { publicKey: '-----BEGIN OPENSSH PRIVATE KEY-----' }],
    ['an end in the past', { publicKey: 'own', expiresAt: '2020-01-01T00:00:00Z' }],
    ['a template with a tag', { publicKey: 'own', templates: ['a:b'] }],
    ['a name with a line break', { publicKey: 'own', name: 'a\nb' }],
  ])('with %s are refused', async (_what, body) => {
    const given = 'publicKey' in body && body.publicKey === 'own' ? { ...body, publicKey: key.line } : body;
    expect((await api.ask('POST', '/ssh-keys', { body: given })).json).toMatchObject({ code: 400 });
  });
});

describe('a sandbox', () => {
  it('opens for a key of its team, and the key shows that it was used', async () => {
    const keyId = await add();
    expect(await enter()).toEqual({
      ...{ sandboxId, keyId, teamId: api.teamId },
      ...{ accessToken: expect.any(String) as string, fault: '' },
    });
    expect(await api.ssh.findEnded([{ sandboxId, keyId }])).toEqual([]);
    expect((await api.ask('GET', '/ssh-keys')).json).toMatchObject([{ lastUsed: expect.any(String) as string }]);
  });

  it('is resumed when it is paused', async () => {
    await add();
    await api.ask('POST', `/sandboxes/${sandboxId}/pause`);
    expect((await enter()).fault).toBe('');
    expect(api.runner.sandboxes.get(sandboxId)?.state).toBe(SandboxState.RUNNING);
  });

  it('refuses every other reason with the same words', async () => {
    await add();
    const foreign = await api.ask('POST', '/v2/sandboxes', { key: api.otherKey, body: { templateID: 'base' } });
    const dead = await makeSandbox(api);
    await api.ask('DELETE', `/sandboxes/${dead}`);
    const unknown = 'iaaaaaaaaaaaaaaaaaaaa';
    for (const user of [(foreign.json as { sandboxID: string }).sandboxID, dead, unknown, '', 'root', '../x', '\0'])
      await expect(enter(user)).rejects.toMatchObject(refused);
    await expect(enter(sandboxId, { signature: Buffer.alloc(64) })).rejects.toMatchObject(refused);
    await expect(api.ssh.authorize(makeSshKey().attempt(sandboxId))).rejects.toMatchObject(refused);
  });

  it('refuses a key that has expired, and one for other templates', async () => {
    const keyId = await add({ expiresAt: new Date(now.value + 60_000).toISOString() });
    await enter();
    now.value += 61_000;
    await expect(enter()).rejects.toMatchObject(refused);
    expect(await api.ssh.findEnded([{ sandboxId, keyId }])).toEqual([{ sandboxId, keyId }]);
    key = makeSshKey();
    await add({ templates: ['other'] });
    await expect(enter()).rejects.toMatchObject(refused);
  });

  it('is closed to a removed key, whose connections end', async () => {
    const keyId = await add();
    await api.ask('DELETE', `/ssh-keys/${keyId}`);
    await expect(enter()).rejects.toMatchObject(refused);
    expect(await api.ssh.findEnded([{ sandboxId, keyId }])).toHaveLength(1);
  });

  it('answers an address that has failed too often only for keys that were right there', async () => {
    await add();
    await enter();
    for (let n = 0; n < 120; n += 1) await api.ssh.authorize(makeSshKey().attempt(sandboxId)).catch(() => undefined);
    await expect(api.ssh.authorize(makeSshKey().attempt(sandboxId))).rejects.toMatchObject({
      reason: 'limit_exceeded',
    });
    expect((await enter()).fault).toBe('');
    // The right key, with names that it does not open.
    await expect(enter('iaaaaaaaaaaaaaaaaaaaa')).rejects.toMatchObject({ reason: 'limit_exceeded' });
  });

  it('does not open twice for one signature', async () => {
    await add();
    const attempt = key.attempt(sandboxId);
    await api.ssh.authorize(attempt);
    await expect(api.ssh.authorize(attempt)).rejects.toMatchObject(refused);
    await enter();
  });

  it('has records of who came from where, and of nothing that nobody was let in for', async () => {
    const keyId = await add();
    await enter();
    await api.ssh.report([
      { grant: { sandboxId, keyId }, kind: 'exec', count: 2 },
      { grant: { sandboxId, keyId: 'ssh_other' }, kind: 'shell', count: 1 },
    ]);
    const find = async (action: string): Promise<AuditRecord[]> =>
      ((await api.ask('GET', '/audit/records')).json as AuditRecord[]).filter((one) => one.action === action);
    await expect.poll(async () => await find('ssh.exec')).toMatchObject([{ facts: { count: 2 } }]);
    expect(await find('ssh.sign-in')).toMatchObject([{ source: { network: '192.0.2.0/24' } }]);
    expect(await find('ssh.shell')).toEqual([]);
  });
});

describe('SSH keys of a person', () => {
  it('open what their role allows at that moment', async () => {
    const person = await makePerson(api, { [api.teamId]: 'developer' });
    const headers = { ...person.session };
    const answer = await api.ask('POST', '/personal-ssh-keys', { key: null, headers, body: { publicKey: key.line } });
    expect(answer.status).toBe(201);
    const { sshKeyID } = answer.json as { sshKeyID: string };
    expect(await enter()).toMatchObject({ keyId: sshKeyID });
    const membership = { userId: person.userId, teamId: api.teamId, source: 'operator', createdAt: 1 } as const;
    await api.records.memberships.put({ ...membership, role: 'viewer' });
    await expect(enter()).rejects.toMatchObject(refused);
    await api.records.memberships.put({ ...membership, role: 'admin' });
    await enter();
    await api.records.memberships.remove(person.userId, api.teamId);
    await expect(enter()).rejects.toMatchObject(refused);
    expect(await api.ssh.findEnded([{ sandboxId, keyId: sshKeyID }])).toHaveLength(1);
    expect((await api.ask('DELETE', `/personal-ssh-keys/${sshKeyID}`, { key: null, headers })).status).toBe(204);
  });

  it('that are added with a personal token end with it', async () => {
    const person = await makePerson(api, { [api.teamId]: 'admin' });
    const headers = { authorization: `Bearer ${person.key.replace(/_[^_]*$/, '')}` };
    const body = { publicKey: key.line };
    const answer = await api.ask('POST', '/personal-ssh-keys', { key: null, headers, body });
    expect(answer.json).toMatchObject({ expiresAt: expect.any(String) as string });
    const later = { ...body, publicKey: makeSshKey().line, expiresAt: new Date(now.value + 9e9).toISOString() };
    expect((await api.ask('POST', '/personal-ssh-keys', { key: null, headers, body: later })).status).toBe(403);
  });
});
