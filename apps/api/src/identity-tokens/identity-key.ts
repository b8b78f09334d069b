import { createHash, generateKeyPairSync } from 'node:crypto';
import { Secret } from '@soulbox/base';
import type { Keyring, Place } from '@soulbox/keyring';
import type { IdentityKeyRecord } from '@soulbox/storage';

/** Creates a P-256 key pair for ES256. The private key leaves this function encrypted only. */
export async function createIdentityKey(
  keyring: Keyring,
  times: Pick<IdentityKeyRecord, 'createdAt' | 'signsFrom'>,
): Promise<IdentityKeyRecord> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { crv, kty, x, y } = publicKey.export({ format: 'jwk' });
  // RFC 7638: these members in this order.
  const id = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  return {
    id,
    ...times,
    endsAt: undefined,
    publicJwk: JSON.stringify({ kty, crv, x, y, kid: id, alg: 'ES256', use: 'sig' }),
    sealedPrivateKey: await keyring.seal(new Secret(pem), placeOfIdentityKey(id)),
  };
}

/** The keys belong to the server, not to a team. */
export const placeOfIdentityKey = (id: string): Place => ({
  table: 'identity_keys',
  row: id,
  field: 'private_key',
  team: '',
});
