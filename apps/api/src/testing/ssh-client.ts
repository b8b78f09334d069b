import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { SshAttempt } from '@soulbox/contract/ssh-service';

/** The type `string` of RFC 4251. */
export function wire(...parts: (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const bytes = Buffer.from(part);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

export interface TestSshKey {
  readonly line: string;
  /** A signed request for a user. `more` replaces parts of what is signed. */
  attempt(
    user: string,
    more?: Partial<SshAttempt> & { readonly signedUser?: string; readonly service?: string },
  ): SshAttempt;
}

/** A new Ed25519 key, as `ssh-keygen` makes it. */
export function makeSshKey(): TestSshKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const bytes = wire('ssh-ed25519', rawOf(publicKey));
  return {
    line: `ssh-ed25519 ${bytes.toString('base64')} me@laptop`,
    attempt(user, { signedUser = user, service = 'ssh-connection', ...more } = {}) {
      const request = Buffer.concat([
        wire(signedUser, service, 'publickey'),
        Buffer.from([1]),
        wire('ssh-ed25519', bytes),
      ]);
      const signed = Buffer.concat([wire(randomBytes(32)), Buffer.from([50]), request]);
      return {
        user,
        publicKey: bytes,
        signed,
        signature: sign(null, signed, privateKey),
        address: '192.0.2.1',
        ...more,
      };
    },
  };
}

export const newPublicKey = (): string => makeSshKey().line;

const rawOf = (key: KeyObject): Buffer => Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url');
