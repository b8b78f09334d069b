// Encrypts large files block by block. Imports little, because a process whose start is part of a resume loads it.
import { openInPlace, sealInPlace } from './block-cipher.mjs';

export { openInPlace, sealInPlace };

/** Key of one checkpoint. No other data are encrypted with it. */
export const blockKeyBytes = 32;

/**
 * What authenticates an encrypted block: its nonce and its tag in hexadecimal. It takes the place of a digest, and is
 * kept apart from the block, so that a block keeps its size and its place in the file.
 */
export const blockSealForm = /^[0-9a-f]{56}$/;

/** The associated data of a block. A block that is moved to another place, part or checkpoint is not accepted there. */
export function placeOfBlock(checkpointId: string, part: string, index: number): Buffer {
  return Buffer.from(`soulbox checkpoint block 1\0${checkpointId}\0${part}\0${index}`, 'utf8');
}

export interface SealedBlock {
  readonly bytes: Buffer;
  readonly seal: string;
}

/** Encrypts a copy, see `sealInPlace`. */
export function sealBlock(key: Uint8Array, place: Uint8Array, plain: Uint8Array): SealedBlock {
  const bytes = Buffer.from(plain);
  return { seal: sealInPlace(key, place, bytes), bytes };
}

/** Decrypts a copy. Undefined if the bytes were not encrypted with this key for this place. */
export function openBlock(
  key: Uint8Array,
  place: Uint8Array,
  bytes: Uint8Array,
  seal: string | undefined,
): Buffer | undefined {
  const plain = Buffer.from(bytes);
  return openInPlace(key, place, plain, seal) ? plain : undefined;
}
