import { findSealedCheckpoint } from '@soulbox/checkpoints';
import { Secret, SoulBoxError } from '@soulbox/base';
import { checkDataKeys, dataKeyIdOf, fileKeyringRecords, openKeyring } from '@soulbox/keyring';
import type { Keyring, MasterKeySources } from '@soulbox/keyring';
import type { DiskReserve } from '@soulbox/storage';
import { findSealedRecord } from '../registry/find-sealed-record.ts';
import { findEncryptedFolder } from './folder-policies.ts';
import { runnerContentFolders } from './content-folders.ts';

/** Far below the limit of NIST SP 800-38D (8.3), and enough for some hundred starts. */
const valuesPerKey = 2 ** 31;
/** Enough for the life of a server: it must be able to write records when the disk is full. */
const claimSize = 2 ** 22;

export interface RunnerKeysOptions {
  /** The file with the data keys. */
  readonly path: string;
  /** Where records and checkpoints may be that were encrypted with them. */
  readonly dataDirectory: string;
  readonly sources: MasterKeySources;
  readonly reserve: DiskReserve;
}

/**
 * The runner's own keyring. It shares the master keys of the control plane, but no process: a resume works while the
 * control plane is away. Its data key is read once and stays in memory, because a sandbox must be able to end when a
 * hardware module is away. Throws `master_key_missing` and `state_damaged` with nothing changed: for a data key that is
 * damaged, and for a missing file beside something that was encrypted.
 */
export async function openRunnerKeys(options: RunnerKeysOptions): Promise<Keyring> {
  const { path, dataDirectory, sources, reserve } = options;
  const records = fileKeyringRecords(path);
  if (!(await checkDataKeys(records, sources, path))) await refuseLoss(path, dataDirectory);
  const keyring = await reserve.spend(
    async () => await openKeyring({ records, sources, valuesPerKey, claimSize, cacheMs: Infinity }),
  );
  // Reserves the uses of the data key now.
  await reserve.spend(async () => {
    await keyring.seal(new Secret(''), { table: 'runner', row: 'start', field: '', team: '' });
  });
  return {
    seal: async (value, place) => await keyring.seal(value, place),
    async open(sealed, place) {
      try {
        return await keyring.open(sealed, place);
      } catch (error) {
        const id = dataKeyIdOf(sealed);
        if (id === undefined || (await records.findDataKey(id)) !== undefined) throw error;
        throw missing(`The data key ${id} is missing in ${path}, but saved memory or records are`, error);
      }
    },
    [Symbol.dispose]: () => keyring[Symbol.dispose](),
  };
}

/** A new file beside encrypted content would hide that the old one is lost. */
async function refuseLoss(path: string, dataDirectory: string): Promise<void> {
  const sealed =
    (await findEncryptedFolder(runnerContentFolders(dataDirectory))) ??
    (await findSealedRecord(dataDirectory)) ??
    (await findSealedCheckpoint(dataDirectory));
  if (sealed !== undefined) throw missing(`The file of the runner's data keys ${path} is missing, but ${sealed} is`);
}

function missing(what: string, cause?: unknown): SoulBoxError {
  return new SoulBoxError(
    'master_key_missing',
    `${what} encrypted with it. Put that file back, for example from a backup (docs/secrets.md).`,
    { cause },
  );
}
