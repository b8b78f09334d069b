import { randomBytes } from 'node:crypto';
import { Secret, SoulBoxError } from '@soulbox/base';
import { checkpointKeys } from '../processes/checkpoint-keys.ts';
import type { Keyring, Place } from '@soulbox/keyring';
import { openBlock, sealBlock } from '@soulbox/keyring/blocks';
import { createRecordSeal } from '../registry/record-seal.ts';
import type { RecordSeal } from '../registry/record-seal.ts';

const placeBytes = (place: Place): Buffer => Buffer.from(JSON.stringify(place));

/** A keyring without files: one key, in this process. */
export function createTestKeyring(key = randomBytes(32)): Keyring {
  return {
    seal: (value, place) => {
      const { bytes, seal } = sealBlock(key, placeBytes(place), Buffer.from(value.reveal()));
      return Promise.resolve(`${seal}.${bytes.toString('base64')}`);
    },
    open: (sealed, place) => {
      const [seal, bytes = ''] = sealed.split('.');
      const plain = openBlock(key, placeBytes(place), Buffer.from(bytes, 'base64'), seal);
      if (plain === undefined) return Promise.reject(new SoulBoxError('state_damaged', 'It was altered.'));
      return Promise.resolve(new Secret(plain.toString()));
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** The same for all stores of this process. */
const keyring = createTestKeyring();

export const testCheckpointKeys = checkpointKeys(keyring);

export function openTestSeal(): RecordSeal {
  return createRecordSeal(keyring);
}
