import { addressOf } from '@soulbox/linux/libc';

/** Names and numbers of PKCS #11 2.40 (OASIS, pkcs11t.h). On Linux its structures have the alignment of C; CK_ULONG has 8 bytes. */
export const numbers = {
  rwSession: 2n | 4n, // CKF_RW_SESSION | CKF_SERIAL_SESSION
  osLocking: 2n, // CKF_OS_LOCKING_OK
  userRole: 1n, // CKU_USER
  aesKeyGen: 0x1080n, // CKM_AES_KEY_GEN
  aesGcm: 0x1087n, // CKM_AES_GCM
} as const;

/** CK_OBJECT_CLASS, CK_KEY_TYPE. */
const secretKey = 4n;
const aes = 0x1fn;

const attributeTypes = {
  class: 0x0n,
  token: 0x1n,
  private: 0x2n,
  label: 0x3n,
  keyType: 0x100n,
  sensitive: 0x103n,
  encrypt: 0x104n,
  decrypt: 0x105n,
  valueLength: 0x161n,
  extractable: 0x162n,
} as const;

type AttributeType = keyof typeof attributeTypes;

/** A structure and the buffers to which it points. They must be reachable as long as C code uses it. */
export interface Structure {
  readonly bytes: Buffer;
  readonly parts: readonly Buffer[];
}

export function ulong(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

const yes = (): Buffer => Buffer.from([1]);
const no = (): Buffer => Buffer.from([0]);

/** CK_ATTRIBUTE[]. */
function attributes(entries: readonly (readonly [AttributeType, Buffer])[]): Structure {
  const bytes = Buffer.concat(
    entries.flatMap(([type, value]) => [
      ulong(attributeTypes[type]),
      ulong(addressOf(value)),
      ulong(BigInt(value.length)),
    ]),
  );
  return { bytes, parts: entries.map(([, value]) => value) };
}

export const attributeBytes = 24;

/** Finds a key by its label. */
export const keyTemplate = (label: string): Structure =>
  attributes([
    ['class', ulong(secretKey)],
    ['keyType', ulong(aes)],
    ['label', Buffer.from(label, 'utf8')],
  ]);

/** A key that stays in the module and cannot be read. */
export const newKeyTemplate = (label: string): Structure =>
  attributes([
    ['class', ulong(secretKey)],
    ['keyType', ulong(aes)],
    ['label', Buffer.from(label, 'utf8')],
    ['token', yes()],
    ['private', yes()],
    ['sensitive', yes()],
    ['extractable', no()],
    ['encrypt', yes()],
    ['decrypt', yes()],
    ['valueLength', ulong(32n)],
  ]);

/** CK_MECHANISM. */
export function mechanism(type: bigint, parameter?: Structure): Structure {
  const [address, length] =
    parameter === undefined ? [0n, 0n] : [addressOf(parameter.bytes), BigInt(parameter.bytes.length)];
  const bytes = Buffer.concat([ulong(type), ulong(address), ulong(length)]);
  return { bytes, parts: parameter === undefined ? [] : [parameter.bytes, ...parameter.parts] };
}

/** CK_GCM_PARAMS. Lengths of the nonce and the tag are also given in bits. */
export function gcmParameters(nonce: Buffer, associated: Buffer, tagBytes: number): Structure {
  const bytes = Buffer.concat([
    ...[ulong(addressOf(nonce)), ulong(BigInt(nonce.length)), ulong(BigInt(nonce.length * 8))],
    ...[ulong(addressOf(associated)), ulong(BigInt(associated.length)), ulong(BigInt(tagBytes * 8))],
  ]);
  return { bytes, parts: [nonce, associated] };
}

/** CK_C_INITIALIZE_ARGS: the module uses the locks of the system. */
export const initializeArguments = (): Buffer =>
  Buffer.concat([Buffer.alloc(32), ulong(numbers.osLocking), Buffer.alloc(8)]);

/** CK_TOKEN_INFO is smaller; its label is at the start, padded with blanks. */
export const tokenInfoBytes = 256;
export const labelOfToken = (info: Buffer): string => info.toString('utf8', 0, 32).trimEnd();
