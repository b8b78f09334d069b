import { createPrivateKey, createPublicKey, hash, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';

/** Signed notes as C2SP's signed-note specifies them: a text, an empty line, signature lines. */

/** Types of signatures that we know: of a log over the text, and of a witness over text and time. */
export const signatureTypes = { ed25519: 0x01, cosignature: 0x04 } as const;
export type SignatureType = keyof typeof signatureTypes;

const dash = '\u2014';
const keyIdBytes = 4;
const publicKeyBytes = 32;
const timestampBytes = 8;
const signatureBytes = 64;
/** A verifier must accept 16 signatures. */
const signaturesMax = 32;
const noteCharsMax = 65_536;
/** No spaces, no plus, no control characters. */
const nameForm = /^[^\s+\p{Cc}]{1,255}$/u;
/** DER before the 32 bytes of an Ed25519 key (RFC 8410). */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

export interface NoteSigner {
  readonly name: string;
  /** The key with which others verify: `name+id+key`, as signed-note encodes it. */
  readonly verifierKey: string;
  /** The whole note for a text that ends with a line feed. */
  sign(text: string): string;
}

/** A key that is trusted for a name. */
export interface NoteVerifier {
  readonly name: string;
  readonly type: SignatureType;
  readonly keyId: Buffer;
  readonly publicKey: KeyObject;
}

/** A signature of a known key that was verified. */
export interface VerifiedSignature {
  readonly name: string;
  readonly type: SignatureType;
  /** When a witness signed, in seconds since the Unix epoch. */
  readonly signedAt: number | undefined;
  /** The whole line, with its line feed. */
  readonly line: string;
}

export interface OpenedNote {
  readonly text: string;
  readonly signatures: readonly VerifiedSignature[];
}

function keyIdOf(name: string, type: SignatureType, key: Buffer): Buffer {
  const text = Buffer.concat([Buffer.from(`${name}\n`), Buffer.from([signatureTypes[type]]), key]);
  return hash('sha256', text, 'buffer').subarray(0, keyIdBytes);
}

function rawPublicKey(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' }).subarray(-publicKeyBytes);
}

function refuse(why: string): never {
  throw new SoulBoxError('state_damaged', `The signed note is not valid: ${why}.`);
}

/** Strict: another text for the same bytes would make a second form of a note. */
function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** `privateKey` is an Ed25519 key in PEM. */
export function createSigner(name: string, privateKey: string): NoteSigner {
  if (!nameForm.test(name)) throw new RangeError('A key name must have no spaces and no plus sign.');
  const secret = createPrivateKey(privateKey);
  const key = rawPublicKey(createPublicKey(secret));
  const keyId = keyIdOf(name, 'ed25519', key);
  const encoded = Buffer.concat([Buffer.from([signatureTypes.ed25519]), key]).toString('base64');
  return {
    name,
    verifierKey: `${name}+${keyId.toString('hex')}+${encoded}`,
    sign(text) {
      const signature = Buffer.concat([keyId, sign(null, Buffer.from(text), secret)]);
      return `${text}\n${dash} ${name} ${signature.toString('base64')}\n`;
    },
  };
}

/** Reads a verifier key. Throws `config_invalid`. */
export function parseVerifierKey(text: string): NoteVerifier {
  const [name = '', id = '', encoded = ''] =
    /^([^+]*)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{1,64})$/.exec(text)?.slice(1) ?? [];
  const bytes = decodeBase64(encoded) ?? Buffer.alloc(0);
  const type = Object.entries(signatureTypes).find(([, byte]) => byte === bytes[0])?.[0] as SignatureType | undefined;
  if (!nameForm.test(name) || type === undefined || bytes.length !== publicKeyBytes + 1)
    throw new SoulBoxError('config_invalid', 'A verifier key must have the form name+id+key of an Ed25519 key.');
  const verifier = createVerifier(name, type, bytes.subarray(1));
  if (!verifier.keyId.equals(Buffer.from(id, 'hex')))
    throw new SoulBoxError('config_invalid', `The id in the verifier key of ${name} does not match its name and key.`);
  return verifier;
}

/** `key` has 32 bytes. */
export function createVerifier(name: string, type: SignatureType, key: Buffer): NoteVerifier {
  const publicKey = createPublicKey({ key: Buffer.concat([spkiPrefix, key]), format: 'der', type: 'spki' });
  return { name, type, keyId: keyIdOf(name, type, key), publicKey };
}

/**
 * Verifies a note. Signatures of unknown keys are ignored. Throws `state_damaged` if a signature of a known key is
 * wrong, if no known key has signed, or if the form is wrong.
 */
export function openNote(note: string, verifiers: readonly NoteVerifier[]): OpenedNote {
  if (note.length > noteCharsMax) refuse('it is too long');
  const end = note.lastIndexOf('\n\n');
  if (end === -1 || !note.endsWith('\n') || /[^\n\P{Cc}]/u.test(note)) refuse('it has no signatures');
  const text = note.slice(0, end + 1);
  const signatures = verifyLines(text, note.slice(end + 2), verifiers);
  if (signatures.length === 0) refuse('no trusted key has signed it');
  return { text, signatures };
}

/** Verifies signature lines for a text; see openNote. The result may be empty. */
export function verifyLines(
  text: string,
  lines: string,
  verifiers: readonly NoteVerifier[],
): readonly VerifiedSignature[] {
  const list = lines.split('\n').slice(0, -1);
  if (list.length > signaturesMax) refuse('it has too many signatures');
  return list.flatMap((line) => {
    const [, name, encoded = ''] =
      /^\u2014 (\S{1,255}) ([A-Za-z0-9+/]{8,8192}={0,2})$/.exec(line) ?? refuse('a signature line has another form');
    const bytes = decodeBase64(encoded) ?? refuse('a signature line has another form');
    const id = bytes.subarray(0, keyIdBytes);
    const verifier = verifiers.find((known) => known.name === name && known.keyId.equals(id));
    if (verifier === undefined) return [];
    const signature = bytes.subarray(keyIdBytes);
    const signedAt = verifySignature(verifier, text, signature) ?? refuse(`the signature of ${verifier.name} is wrong`);
    const { type } = verifier;
    return [{ name: verifier.name, type, signedAt: type === 'cosignature' ? signedAt : undefined, line: `${line}\n` }];
  });
}

/** The time of the signature in seconds, 0 without one; undefined if it is wrong. */
function verifySignature({ type, publicKey }: NoteVerifier, text: string, bytes: Buffer): number | undefined {
  const stampBytes = type === 'cosignature' ? timestampBytes : 0;
  if (bytes.length !== stampBytes + signatureBytes) return undefined;
  const signedAt = stampBytes === 0 ? 0 : Number(bytes.readBigUInt64BE(0));
  if (!Number.isSafeInteger(signedAt)) return undefined;
  // C2SP's tlog-cosignature: the time is signed together with the text.
  const message = stampBytes === 0 ? text : `cosignature/v1\ntime ${signedAt}\n${text}`;
  return verify(null, Buffer.from(message), publicKey, bytes.subarray(stampBytes)) ? signedAt : undefined;
}
