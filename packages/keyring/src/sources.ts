import { SoulBoxError } from '@soulbox/base';
import type { MasterKey, MasterKeySource } from './master-key.ts';

/** The source whose kind the id names. */
export function sourceOf(sources: readonly MasterKeySource[], id: string): MasterKeySource | undefined {
  return sources.find(({ kind }) => id.startsWith(`${kind}:`));
}

/** Throws `master_key_missing`, with the id and what to do. */
export async function findMasterKey(sources: readonly MasterKeySource[], id: string): Promise<MasterKey> {
  const source = sourceOf(sources, id);
  if (source === undefined)
    throw new SoulBoxError(
      'master_key_missing',
      `The master key ${id} is not in a source that this server uses. Set SOULBOX_MASTER_KEY and the settings of that source as they were (docs/secrets.md).`,
    );
  const found = await source.find(id);
  if (found !== undefined) return found;
  throw new SoulBoxError(
    'master_key_missing',
    `The master key ${id} is missing in ${source.where}, but stored secrets are encrypted with it. Put that key back, for example from a backup. No other key can read them, so no new one was created (docs/secrets.md).`,
  );
}
