import { verify } from 'node:crypto';
import type { SshAttempt } from '@soulbox/contract/ssh-service';
import { parsePublicKey } from './public-key.ts';
import type { SshPublicKey } from './public-key.ts';
import { createWireReader } from './wire-reader.ts';

/** SSH_MSG_USERAUTH_REQUEST */
const requestCode = 50;
const sessionIdBytes = { min: 16, max: 128 } as const;

/** The hash of each algorithm of signatures, and the algorithm of its key. SHA-1 is refused. */
const signatures: Readonly<Record<string, { readonly of: string; readonly hash: string | null }>> = {
  'ssh-ed25519': { of: 'ssh-ed25519', hash: null },
  'ecdsa-sha2-nistp256': { of: 'ecdsa-sha2-nistp256', hash: 'sha256' },
  'ecdsa-sha2-nistp384': { of: 'ecdsa-sha2-nistp384', hash: 'sha384' },
  'ecdsa-sha2-nistp521': { of: 'ecdsa-sha2-nistp521', hash: 'sha512' },
  'rsa-sha2-256': { of: 'ssh-rsa', hash: 'sha256' },
  'rsa-sha2-512': { of: 'ssh-rsa', hash: 'sha512' },
};

/**
 * The key with which a request of the method `publickey` (RFC 4252, section 7) was signed. Undefined if the signature is
 * not valid, or is for another user or key than the attempt names. The SSH process has checked nothing of this: it is the
 * part that strangers can attack.
 */
export function findSigningKey({ user, publicKey, signed, signature }: SshAttempt): SshPublicKey | undefined {
  const key = parsePublicKey(publicKey);
  if (key === undefined) return undefined;
  try {
    const reader = createWireReader(signed);
    const sessionId = reader.bytes();
    if (sessionId.length < sessionIdBytes.min || sessionId.length > sessionIdBytes.max) return undefined;
    const isRequest =
      reader.byte() === requestCode &&
      reader.bytes().toString('utf8') === user &&
      reader.text() === 'ssh-connection' &&
      reader.text() === 'publickey' &&
      reader.byte() === 1;
    const name = isRequest ? reader.text() : '';
    const method = Object.hasOwn(signatures, name) ? signatures[name] : undefined;
    if (method?.of !== key.algorithm || !reader.bytes().equals(key.bytes) || !reader.isAtEnd()) return undefined;
    return verify(method.hash, signed, key.key, signature) ? key : undefined;
  } catch {
    return undefined;
  }
}
