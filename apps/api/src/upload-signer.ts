import { createHmac, randomBytes } from 'node:crypto';
import { constantTimeEqual } from '@soulbox/base';

/** The permission that a link gives. */
export interface UploadGrant {
  readonly teamId: string;
  readonly templateId: string;
  readonly hash: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

export interface UploadSigner {
  sign(grant: UploadGrant): string;
  isValid(grant: UploadGrant, signature: string): boolean;
}

/**
 * HMAC-SHA256 with a key that lives as long as the process. A link is only for an upload that starts soon. After a
 * restart of the server a client must request another.
 */
export function createUploadSigner(): UploadSigner {
  const key = randomBytes(32);
  const sign = ({ teamId, templateId, hash, expiresAt }: UploadGrant): string => {
    // JSON separates the parts, whatever they contain.
    const text = JSON.stringify(['PUT', 'build file', teamId, templateId, hash, expiresAt]);
    return createHmac('sha256', key).update(text).digest('base64url');
  };
  return { sign, isValid: (grant, signature) => constantTimeEqual(sign(grant), signature) };
}
