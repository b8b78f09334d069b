import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { runCli } from '../../testing/run-cli.ts';
import { startScriptedApi } from '../../testing/scripted-api.ts';

const key = { sshKeyID: 'k1', name: 'me', fingerprint: 'SHA256:x', templates: null, expiresAt: null, lastUsed: null };

test('a public key is added from a file, and a private key is never sent', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cli-ssh-'));
  try {
    const file = join(folder, 'id');
    writeFileSync(`${file}.pub`, 'ssh-ed25519 AAAA me\n');
    writeFileSync(file, '-----BEGIN OPENSSH PRIVATE KEY-----\n');
    await using api = await startScriptedApi([
      { status: 201, body: key },
      { status: 201, body: key },
      { status: 200, body: [key] },
      { status: 204 },
    ]);
    const added = await runCli(
      ['key', 'add-ssh', `${file}.pub`, '--template', 'web', '--expires', '30d'],
      api.environment,
    );
    expect(added.stdout).toBe('k1 SHA256:x\n');
    await runCli(['key', 'add-ssh', `${file}.pub`, '--personal'], api.environment);
    const refused = await runCli(['key', 'add-ssh', file], api.environment);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('private key')]);
    expect((await runCli(['key', 'list-ssh'], api.environment)).stdout).toContain('SHA256:x');
    await runCli(['key', 'remove-ssh', 'k1'], api.environment);
    expect(api.seen).toMatchObject([
      { line: 'POST /ssh-keys', body: { publicKey: 'ssh-ed25519 AAAA me\n', templates: ['web'] } },
      { line: 'POST /personal-ssh-keys' },
      { line: 'GET /ssh-keys' },
      { line: 'DELETE /ssh-keys/k1' },
    ]);
  } finally {
    await removeTree(folder);
  }
});

test('ssh-config prints what ssh(1) needs', async () => {
  const server = { status: 200, body: { port: 2222, hostKey: 'ssh-ed25519 AAAA' } };
  await using api = await startScriptedApi([
    server,
    server,
    { status: 200, body: [{ sandboxID: 'i1' }, { sandboxID: 'i2' }] },
  ]);
  const known = await runCli(['ssh-config', '--known-hosts'], api.environment);
  expect(known.stdout).toBe('soulbox-127.0.0.1-2222 ssh-ed25519 AAAA\n');
  const { stdout } = await runCli(['ssh-config'], api.environment);
  expect(stdout).toContain(
    'Host i1\n  HostName 127.0.0.1\n  Port 2222\n  User i1\n  HostKeyAlias soulbox-127.0.0.1-2222\n\nHost i2',
  );
});
