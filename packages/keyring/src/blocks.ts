// Encrypts large files block by block. Imports nothing of ours, because a process whose start is part of a resume loads
// it.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;

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

/** The nonce is random: a block that is written again gets another one. */
export function sealBlock(key: Uint8Array, place: Uint8Array, plain: Uint8Array): SealedBlock {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes }).setAAD(place);
  const bytes = cipher.update(plain);
  cipher.final();
  return { bytes, seal: nonce.toString('hex') + cipher.getAuthTag().toString('hex') };
}

/** Undefined if the bytes were not encrypted with this key for this place. */
export function openBlock(
  key: Uint8Array,
  place: Uint8Array,
  bytes: Uint8Array,
  seal: string | undefined,
): Buffer | undefined {
  if (seal === undefined || !blockSealForm.test(seal)) return undefined;
  const [nonce, tag] = [seal.slice(0, nonceBytes * 2), seal.slice(nonceBytes * 2)];
  const decipher = createDecipheriv(algorithm, key, Buffer.from(nonce, 'hex'), { authTagLength: tagBytes })
    .setAAD(place)
    .setAuthTag(Buffer.from(tag, 'hex'));
  const plain = decipher.update(bytes);
  try {
    decipher.final();
    return plain;
  } catch {
    plain.fill(0);
    return undefined;
  }
}
