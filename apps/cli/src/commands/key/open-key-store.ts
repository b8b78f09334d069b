import { findNamedApi } from '../../api/connection.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import type { KeyStore } from './key-store.ts';

interface StoreFlags {
  readonly 'data-dir'?: string | undefined;
  readonly team?: string | undefined;
}

/**
 * The API of the server that a context, the variables or a login name. Without one, and with `--data-dir`, the records
 * of the host, for which no server must run; with `adds` it then throws `disk_full` when there is no room.
 */
export async function openKeyStore(flags: StoreFlags, { adds }: { readonly adds: boolean }): Promise<KeyStore> {
  const dataDir = flags['data-dir'];
  const api = dataDir === undefined ? await findNamedApi() : undefined;
  if (api === undefined) {
    const { openRecordedKeys } = await import('./recorded-keys.ts');
    return await openRecordedKeys(dataDir, flags.team, { adds });
  }
  if (flags.team !== undefined)
    throw new UsageError(
      `--team selects a team in the records of this host, but ${api.source ?? 'a setting'} names the server ${api.url}, whose key belongs to one team. Add --data-dir DIR, or leave out --team.`,
    );
  const { openKeysOfApi } = await import('./keys-of-api.ts');
  return openKeysOfApi(api);
}
