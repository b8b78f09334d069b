import { createPrivateKey, randomUUID, sign } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import type { Keyring } from '@soulbox/keyring';
import type { IdentityKeyRecord, Records } from '@soulbox/storage';
import type { ApiConfig } from '../config.ts';
import { createIdentityKey, placeOfIdentityKey } from './identity-key.ts';

/** A token is issued for one connection of the egress process, which keeps it for seconds. */
export const tokenLifeMs = 5 * 60_000;
/** A key signs this long. */
const keyLifeMs = 30 * 86_400_000;
/** A new key is published so long before it signs: longer than who checks tokens may keep the old list. */
export const announceMs = 3_600_000;
/** A replaced key is published so long after its last token, for clocks that are behind. */
const marginMs = 5 * 60_000;

/** Who a token is about. */
export interface Workload {
  readonly teamId: string;
  readonly templateId: string;
  readonly sandboxId: string;
}

/** Workload identities of sandboxes, as JWT-SVID (SPIFFE), signed with ES256. */
export interface IdentityTokens {
  /** Throws `config_invalid` without `SOULBOX_API_URL`: nobody could find the keys. */
  issue(workload: Workload, audience: string): Promise<string>;
  /** The public keys of all tokens that are valid now, and the next one. JSON Web Keys. */
  publicKeys(): Promise<unknown[]>;
}

export function createIdentityTokens(parts: {
  readonly config: ApiConfig;
  readonly records: Records;
  readonly keyring: Keyring;
  readonly clock: Clock;
}): IdentityTokens {
  const { config, records, keyring, clock } = parts;

  /** Newest first. Adds the first key, and the next one in time. */
  const currentKeys = async (): Promise<IdentityKeyRecord[]> => {
    const keys = await records.identityKeys.list();
    const [newest] = keys;
    const now = clock.now();
    if (newest !== undefined && now < newest.signsFrom + keyLifeMs - announceMs) return keys;
    const signsFrom =
      newest === undefined ? now : Math.max(now, newest.signsFrom + keyLifeMs - announceMs) + announceMs;
    const next = await createIdentityKey(keyring, { createdAt: now, signsFrom });
    // If another request was faster, its key counts.
    await records.identityKeys.add(next, newest?.id, signsFrom + tokenLifeMs + marginMs);
    return await records.identityKeys.list();
  };

  return {
    async issue(workload, audience) {
      const issuer = config.apiUrl;
      if (issuer === '')
        throw new SoulBoxError(
          'config_invalid',
          'Workload identities need SOULBOX_API_URL, where others find the keys.',
        );
      const now = clock.now();
      const key = (await currentKeys()).find(({ signsFrom }) => signsFrom <= now);
      if (key === undefined) throw new Error('no identity key signs yet');
      const privateKey = await keyring.open(key.sealedPrivateKey, placeOfIdentityKey(key.id));
      const issuedAt = Math.floor(now / 1000);
      return signToken(
        { alg: 'ES256', kid: key.id, typ: 'JWT' },
        {
          ...{ iss: issuer, sub: subjectOf(workload, issuer), aud: [audience], jti: randomUUID() },
          ...{ iat: issuedAt, nbf: issuedAt, exp: issuedAt + tokenLifeMs / 1000 },
          soulbox: { team: workload.teamId, template: workload.templateId, sandbox: workload.sandboxId },
        },
        privateKey.reveal(),
      );
    },
    async publicKeys() {
      const keys = await currentKeys();
      const isPublished = ({ endsAt }: IdentityKeyRecord): boolean => endsAt === undefined || clock.now() < endsAt;
      return keys.filter(isPublished).map(({ publicJwk }) => JSON.parse(publicJwk) as unknown);
    },
  };
}

/** The SPIFFE ID: the trust domain is the host name of the API. */
function subjectOf({ teamId, templateId, sandboxId }: Workload, issuer: string): string {
  const path = ['team', teamId, 'template', templateId, 'sandbox', sandboxId].map(toSegment).join('/');
  return `spiffe://${new URL(issuer).hostname}/${path}`;
}

/** Characters that a segment may have (SPIFFE ID, section 2.2). */
const toSegment = (text: string): string => text.replaceAll(/[^A-Za-z0-9._-]/g, '-');

/** JWS in its compact form (RFC 7515). */
function signToken(header: object, claims: object, privateKeyPem: string): string {
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
  const signed = `${encode(header)}.${encode(claims)}`;
  const key = createPrivateKey(privateKeyPem);
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}
