import { Secret, SoulBoxError } from '@soulbox/base';
import { dataKeyIdOf, fileKeyringRecords, openKeyring } from '@soulbox/keyring';
import type { Keyring, MasterKeySources } from '@soulbox/keyring';
import type { DiskReserve } from '@soulbox/storage';

/** Far below the limit of NIST SP 800-38D (8.3), and enough for some hundred starts. */
const valuesPerKey = 2 ** 31;
/** Enough for the life of a server: it must be able to write records when the disk is full. */
const claimSize = 2 ** 22;

/**
 * The runner's own keyring, whose data keys are in the file `path`. It shares the master keys of the control plane, but no process: a resume works while the
 * control plane is away. Its data key is read once and stays in memory, because a sandbox must be able to end when a
 * hardware module is away. Throws `master_key_missing`, `state_damaged`.
 */
export async function openRunnerKeys(path: string, sources: MasterKeySources, reserve: DiskReserve): Promise<Keyring> {
  const records = fileKeyringRecords(path);
  const options = { records, sources, valuesPerKey, claimSize, cacheMs: Infinity };
  const keyring = await reserve.spend(async () => await openKeyring(options));
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
        throw new SoulBoxError(
          'master_key_missing',
          `The data key ${id} is missing in ${path}, but saved memory or records are encrypted with it. Put that file back, for example from a backup (docs/secrets.md).`,
          { cause: error },
        );
      }
    },
    [Symbol.dispose]: () => keyring[Symbol.dispose](),
  };
}
