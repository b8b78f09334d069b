import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import type { KeyWrap } from './seal.ts';

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;

/** Wraps data keys with a key of 32 bytes in this process. */
export function createLocalKeyWrap(key: Buffer): KeyWrap {
  const keyId = createHash('sha256').update('audit key id\n').update(key).digest('hex').slice(0, 16);
  return {
    keyId,
    wrap(dataKey, place) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv(algorithm, key, nonce).setAAD(Buffer.from(place));
      return Promise.resolve(Buffer.concat([nonce, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]));
    },
    unwrap: async (wrapped, place, wrapKeyId) => await Promise.resolve(open(wrapped, place, wrapKeyId)),
  };

  function open(wrapped: Buffer, place: string, wrapKeyId: string): Buffer {
    if (wrapKeyId !== keyId)
      throw new SoulBoxError('state_damaged', 'A data key of the audit log was wrapped with another key.');
    try {
      const decipher = createDecipheriv(algorithm, key, wrapped.subarray(0, nonceBytes), { authTagLength: tagBytes });
      decipher.setAAD(Buffer.from(place)).setAuthTag(wrapped.subarray(-tagBytes));
      return Buffer.concat([decipher.update(wrapped.subarray(nonceBytes, -tagBytes)), decipher.final()]);
    } catch (cause) {
      throw new SoulBoxError('state_damaged', 'A data key of the audit log cannot be unwrapped.', { cause });
    }
  }
}
