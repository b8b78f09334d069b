import { readFile } from 'node:fs/promises';
import { isNodeError, SoulBoxError, writeFileAtomic } from '@soulbox/base';
import ssh2 from 'ssh2';
import type { ParsedKey } from 'ssh2';

export interface HostKey {
  /** In the format of OpenSSH. */
  readonly privateKey: string;
  /** Algorithm and key, as in `known_hosts`. */
  readonly publicKey: string;
}

/** The key by which clients recognize the server. The first call creates it, readable by root only. Throws `config_invalid`. */
export async function openHostKey(file: string): Promise<HostKey> {
  const present = await read(file);
  const key = present === undefined ? makeHostKey() : parseHostKey(present);
  if (key === undefined)
    throw new SoulBoxError('config_invalid', `${file} is not an Ed25519 key in the format of OpenSSH.`);
  if (present === undefined) await writeFileAtomic(file, key.privateKey, { mode: 0o600, durable: true });
  return key;
}

/** A new key. The library makes one of some hundred in a form that it cannot read itself. */
export function makeHostKey(): HostKey {
  for (;;) {
    const key = parseHostKey(ssh2.utils.generateKeyPairSync('ed25519', { comment: 'soulbox' }).private);
    if (key !== undefined) return key;
  }
}

/** Undefined for what is not an Ed25519 key. */
function parseHostKey(privateKey: string): HostKey | undefined {
  const key: ParsedKey | Error = ssh2.utils.parseKey(privateKey);
  if (key instanceof Error || key.type !== 'ssh-ed25519') return undefined;
  return { privateKey, publicKey: `${key.type} ${key.getPublicSSH().toString('base64')}` };
}

async function read(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
