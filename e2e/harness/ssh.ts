import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { Sandbox } from 'e2b';
import { apiKey, apiUrl } from './server.ts';

/** A sandbox, and what OpenSSH's clients need for it. */
export interface SshBench extends AsyncDisposable {
  readonly sandbox: Sandbox;
  readonly folder: string;
  readonly port: number;
  /** User and host. */
  readonly at: string;
  /** Options of ssh, scp and sftp, with the identity of that name. The known one is `id`. */
  readonly with: (identity: string) => string[];
  /** Makes an identity and returns its public key. */
  readonly makeKey: (name: string) => string;
  /** Runs ssh(1), with `@` for user and host. Its output is read as latin1, so that every byte is one character. */
  readonly ssh: (
    args: readonly string[],
    options?: { input?: string; identity?: string; user?: string },
  ) => { status: number | null; stdout: string; stderr: string };
}

export async function openSshBench(): Promise<SshBench> {
  const folder = mkdtempSync(join(tmpdir(), 'soulbox-e2e-ssh-'));
  const makeKey = (name: string): string => {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
    return readFileSync(join(folder, `${name}.pub`), 'utf8');
  };
  await askApi('POST', '/ssh-keys', { publicKey: makeKey('id') });
  const { port, hostKey } = (await askApi('GET', '/ssh')) as { port: number; hostKey: string };
  const known = join(folder, 'known_hosts');
  writeFileSync(known, `soulbox ${hostKey}\n`);
  const options = [
    ...['-F', 'none', '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'HostKeyAlias=soulbox'],
    ...['-o', 'StrictHostKeyChecking=yes', '-o', `UserKnownHostsFile=${known}`],
  ];
  const sandbox = await Sandbox.create({ timeoutMs: 300_000 });
  const at = `${sandbox.sandboxId}@127.0.0.1`;
  const with_ = (identity: string): string[] => [...options, '-i', join(folder, identity)];
  return {
    ...{ sandbox, folder, port, at, with: with_, makeKey },
    ssh(args, { input = '', identity = 'id', user = at } = {}) {
      const given = [...with_(identity), '-p', String(port), ...args].map((arg) => (arg === '@' ? user : arg));
      const { status, stdout, stderr } = spawnSync('ssh', given, {
        input: Buffer.from(input, 'latin1'),
        encoding: 'latin1',
        timeout: 30_000,
        maxBuffer: 64 * 1024 * 1024,
      });
      return { status, stdout, stderr };
    },
    async [Symbol.asyncDispose]() {
      await sandbox.kill();
      await removeTree(folder);
    },
  };
}

export async function askApi(method: string, path: string, body?: object): Promise<unknown> {
  const answer = await fetch(apiUrl + path, {
    ...{ method, headers: { 'x-api-key': apiKey, 'content-type': 'application/json' } },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
  return answer.status === 204 ? undefined : await answer.json();
}
