import { createHash, createPublicKey } from 'node:crypto';
import type { JsonWebKey, KeyObject } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import { createWireReader } from './wire-reader.ts';

/** A public key in the encoding of SSH (RFC 4253, section 6.6; RFC 5656; RFC 8709). */
export interface SshPublicKey {
  readonly algorithm: SshKeyAlgorithm;
  readonly bytes: Buffer;
  /** `SHA256:` and 43 characters, as OpenSSH shows it. */
  readonly fingerprint: string;
  readonly key: KeyObject;
}

const curves = {
  'ecdsa-sha2-nistp256': { name: 'nistp256', jwk: 'P-256', bytes: 32 },
  'ecdsa-sha2-nistp384': { name: 'nistp384', jwk: 'P-384', bytes: 48 },
  'ecdsa-sha2-nistp521': { name: 'nistp521', jwk: 'P-521', bytes: 66 },
} as const;

export type SshKeyAlgorithm = keyof typeof curves | 'ssh-ed25519' | 'ssh-rsa';

const ed25519Bytes = 32;
const rsaBits = { min: 2048, max: 16_384 } as const;
const exponentMaxBytes = 8;
/** An RSA key of 16,384 bits needs 2,080 bytes. */
const keyMaxBytes = 4096;

/** Parses a line of an `authorized_keys` or `.pub` file, which has no options. Throws `bad_request`. */
export function parsePublicKeyLine(line: string): { readonly key: SshPublicKey; readonly comment: string } {
  const match = /^(?<type>[a-z0-9@.-]{1,64}) (?<data>[A-Za-z0-9+/]{16,6000}={0,2})(?: (?<comment>[^\n]*))?$/.exec(
    line.trim(),
  );
  const { type = '', data = '', comment = '' } = match?.groups ?? {};
  if (match === null)
    throw new SoulBoxError('bad_request', 'The public key must be one line, such as the content of id_ed25519.pub.');
  const bytes = Buffer.from(data, 'base64');
  const key = parsePublicKey(bytes);
  if (key === undefined || key.algorithm !== type)
    throw new SoulBoxError(
      'bad_request',
      `The public key is damaged, or not of a supported kind: ssh-ed25519, ${Object.keys(curves).join(', ')}, or ssh-rsa with ${rsaBits.min} to ${rsaBits.max} bits.`,
    );
  return { key, comment };
}

/** Undefined for everything that is not exactly one key of a supported kind. */
export function parsePublicKey(bytes: Uint8Array): SshPublicKey | undefined {
  if (bytes.length > keyMaxBytes) return undefined;
  try {
    const reader = createWireReader(bytes);
    const algorithm = reader.text() as SshKeyAlgorithm;
    const jwk = readJwk(algorithm, reader);
    if (jwk === undefined || !reader.isAtEnd()) return undefined;
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    if (algorithm === 'ssh-rsa' && !isLongEnough(key)) return undefined;
    const digest = createHash('sha256').update(bytes).digest('base64').replace(/=+$/, '');
    return { algorithm, bytes: Buffer.from(bytes), fingerprint: `SHA256:${digest}`, key };
  } catch {
    return undefined;
  }
}

type WireReader = ReturnType<typeof createWireReader>;

function readJwk(algorithm: SshKeyAlgorithm, reader: WireReader): JsonWebKey | undefined {
  if (algorithm === 'ssh-ed25519') {
    const x = reader.bytes();
    return x.length === ed25519Bytes ? { kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url') } : undefined;
  }
  if (algorithm === 'ssh-rsa') {
    const [e, n] = [reader.positiveNumber(), reader.positiveNumber()];
    if (e.length > exponentMaxBytes) return undefined;
    return { kty: 'RSA', e: e.toString('base64url'), n: n.toString('base64url') };
  }
  const curve = Object.hasOwn(curves, algorithm) ? curves[algorithm] : undefined;
  if (curve === undefined || reader.text() !== curve.name) return undefined;
  const point = reader.bytes();
  // 4: an uncompressed point (SEC 1, section 2.3.3).
  if (point[0] !== 4 || point.length !== 1 + 2 * curve.bytes) return undefined;
  const [x, y] = [point.subarray(1, 1 + curve.bytes), point.subarray(1 + curve.bytes)];
  return { kty: 'EC', crv: curve.jwk, x: x.toString('base64url'), y: y.toString('base64url') };
}

function isLongEnough({ asymmetricKeyDetails }: KeyObject): boolean {
  const bits = asymmetricKeyDetails?.modulusLength ?? 0;
  return bits >= rsaBits.min && bits <= rsaBits.max;
}
