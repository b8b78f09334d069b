import { randomId, SoulBoxError } from '@soulbox/base';
import type { AuditNote, SshKeyOwner, SshKeyRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { parsePublicKeyLine } from './public-key.ts';

/** Keys of a team, and of a person. */
const keysMax = { team: 1000, person: 50 } as const;
const nameMax = 128;

export interface WantedSshKey {
  readonly publicKey: string;
  readonly name?: string | undefined;
  readonly templates?: readonly string[] | undefined;
  readonly expiresAt?: string | undefined;
}

/** Parses what a request asks for. `latest`: when the credential of the request expires. Throws `bad_request` and `scope_missing`. */
export function makeSshKey(
  owner: SshKeyOwner,
  { publicKey, name, templates = [], expiresAt }: WantedSshKey,
  { now, latest }: { readonly now: number; readonly latest: number | undefined },
): SshKeyRecord {
  const { key, comment } = parsePublicKeyLine(publicKey);
  const end = expiresAt === undefined ? latest : Date.parse(expiresAt);
  if (end !== undefined && end <= now) throw new SoulBoxError('bad_request', 'expiresAt must be in the future.');
  if (latest !== undefined && (end ?? Infinity) > latest)
    throw new SoulBoxError('scope_missing', 'An SSH key cannot expire later than the key or token that adds it.');
  const shown = comment
    .replace(/\p{Cc}/gu, '')
    .trim()
    .slice(0, nameMax);
  return {
    ...{ id: `k${randomId(19)}`, owner, name: name ?? (shown === '' ? key.algorithm : shown), templates },
    ...{ algorithm: key.algorithm, publicKey: key.bytes.toString('base64'), fingerprint: key.fingerprint },
    ...{ createdAt: now, expiresAt: end, lastUsedAt: undefined },
  };
}

/** Throws `name_taken` if the owner has this key already, and `limit_exceeded`. */
export async function addSshKey(context: ApiContext, key: SshKeyRecord, notes: readonly AuditNote[]): Promise<void> {
  const outcome = await context.records.sshKeys.add(key, keysMax[key.owner.kind], notes);
  if (outcome === 'present') throw new SoulBoxError('name_taken', `The key ${key.fingerprint} is already there.`);
  if (outcome === 'limit_reached')
    throw new SoulBoxError('limit_exceeded', `There are ${keysMax[key.owner.kind]} SSH keys. Remove some.`);
  context.logger.info({ sshKeyId: key.id, owner: key.owner, fingerprint: key.fingerprint }, 'SSH key added');
}
