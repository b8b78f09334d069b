import { createHmac, randomBytes } from 'node:crypto';
import { constantTimeEqual } from '@soulbox/base';

/** What a link lets its holder do. */
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
 * HMAC-SHA256 with a key that lives as long as the process: a link is good for an upload that begins soon, and a client whose
 * server was restarted asks for another.
 */
export function createUploadSigner(): UploadSigner {
  const key = randomBytes(32);
  const sign = ({ teamId, templateId, hash, expiresAt }: UploadGrant): string => {
    // JSON keeps the parts apart, whatever is in them.
    const text = JSON.stringify(['PUT', 'build file', teamId, templateId, hash, expiresAt]);
    return createHmac('sha256', key).update(text).digest('base64url');
  };
  return { sign, isValid: (grant, signature) => constantTimeEqual(sign(grant), signature) };
}
