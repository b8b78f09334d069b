import { createHash } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';
import type { Clock } from '@soulbox/base';
import { createKeyPair, issueCertificate, openIssuer } from '@soulbox/certificates';
import type { Issuer, KeyPair } from '@soulbox/certificates';
import { EgressRefusal } from '../judge/refusal.ts';
import { createTokenBucket } from '../policies/token-bucket.ts';
import type { TokenBucket } from '../policies/token-bucket.ts';
import type { Authority } from '../policies/policed-sandbox.ts';

/** Short, because nothing revokes a leaf. A new one is issued after half of it. Milliseconds. */
const lifetimeMs = 24 * 3_600_000;
/** Clocks in sandboxes may be behind, for example after a resume. */
const skewMs = 3_600_000;
/** Authorities in memory, and leaves of each. The ones that were used least recently are dropped. */
const authoritiesMax = 250;
const leavesMax = 50;
/** New leaves of one sandbox per second, and at once. A leaf costs about a millisecond, and a wildcard has many names. */
const issuedPerSecond = 10;
const issuedBurst = 100;

/** Certificates that sandboxes see instead of those of the hosts that they connect to. */
export interface LeafCertificates {
  /** Whether there is one already, so that `contextFor` costs nothing. */
  has(authority: Authority, name: string): boolean;
  /** Throws for an authority that is damaged, and `EgressRefusal` with `rate_limit` for too many names. */
  contextFor(authority: Authority, name: string): Promise<SecureContext>;
}

interface Leaf {
  readonly context: Promise<SecureContext>;
  readonly renewAt: number;
}

/** What the leaves of one authority share. They have one key, because all of them are in this process anyway. */
interface Issuing {
  readonly issuer: Promise<Issuer>;
  readonly keyPair: Promise<KeyPair>;
  readonly rate: TokenBucket;
  readonly leaves: Map<string, Leaf>;
}

export function createLeafCertificates(clock: Clock): LeafCertificates {
  const known = new Map<string, Issuing>();

  const issuingOf = (authority: Authority): Issuing => {
    const key = createHash('sha256').update(authority.certificate).digest('base64');
    return touch(known, key, authoritiesMax, () => {
      const issuer = openIssuer({ certPem: authority.certificate, keyPem: authority.privateKey.reveal() });
      // Whoever needs a leaf hears of a damaged authority.
      issuer.catch(() => undefined);
      const rate = createTokenBucket(issuedPerSecond, issuedBurst);
      return { issuer, keyPair: createKeyPair(), rate, leaves: new Map<string, Leaf>() };
    });
  };
  const isFresh = (leaf: Leaf | undefined): boolean => leaf !== undefined && clock.now() < leaf.renewAt;
  return {
    has: (authority, name) => isFresh(issuingOf(authority).leaves.get(name)),
    async contextFor(authority, name) {
      const issuing = issuingOf(authority);
      const { leaves, rate } = issuing;
      if (!isFresh(leaves.get(name))) {
        leaves.delete(name);
        if (!rate.tryTake(1)) throw new EgressRefusal('rate_limit');
      }
      const leaf = touch(leaves, name, leavesMax, () => ({
        context: issueLeaf(issuing, name, clock.now()),
        renewAt: clock.now() + lifetimeMs / 2,
      }));
      return await leaf.context.catch((thrown: unknown) => {
        leaves.delete(name);
        throw thrown;
      });
    },
  };
}

/** The entry, which is now the one that was used last. */
function touch<Value>(map: Map<string, Value>, key: string, max: number, create: () => Value): Value {
  const value = map.get(key) ?? create();
  map.delete(key);
  map.set(key, value);
  const [first] = map.keys();
  if (map.size > max && first !== undefined) map.delete(first);
  return value;
}

async function issueLeaf({ issuer, keyPair }: Issuing, name: string, now: number): Promise<SecureContext> {
  const [signer, pair] = await Promise.all([issuer, keyPair]);
  const { certPem, keyPem } = await issueCertificate(signer, {
    // A common name has at most 64 characters; clients read the other one.
    commonName: 'SoulBox egress',
    names: [{ type: 'dns', value: name }],
    notBefore: new Date(now - skewMs),
    notAfter: new Date(now + lifetimeMs),
    keyPair: pair,
  });
  return createSecureContext({ cert: certPem, key: keyPem, minVersion: 'TLSv1.2' });
}
