import { placeOfBlock } from '@soulbox/keyring/blocks';

/** Encrypts the blocks of one part. */
export interface PartCipher {
  readonly key: Uint8Array;
  placeOf(index: number): Buffer;
}

export function partCipher(key: Uint8Array, checkpointId: string, part: string): PartCipher {
  return { key, placeOf: (index) => placeOfBlock(checkpointId, part, index) };
}
