import { Secret } from '@soulbox/base';
import type { CheckpointKeys } from '@soulbox/checkpoints';
import type { Keyring } from '@soulbox/keyring';

/** The keys of checkpoints, encrypted by the runner's keyring. */
export function checkpointKeys(keyring: Keyring): CheckpointKeys {
  const placeOf = (checkpointId: string) => ({
    table: 'runner',
    row: `checkpoint ${checkpointId}`,
    field: 'key',
    team: '',
  });
  return {
    seal: async (checkpointId, key) =>
      await keyring.seal(new Secret(Buffer.from(key).toString('base64')), placeOf(checkpointId)),
    open: async (checkpointId, sealed) =>
      Buffer.from((await keyring.open(sealed, placeOf(checkpointId))).reveal(), 'base64'),
  };
}
