import { randomBytes } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import type { Secret } from '@soulbox/base';
import { nonceBytes, tagBytes } from '../gcm.ts';
import {
  attributeBytes,
  gcmParameters,
  initializeArguments,
  keyTemplate,
  labelOfToken,
  mechanism,
  newKeyTemplate,
  numbers,
  tokenInfoBytes,
  ulong,
} from './layout.ts';
import type { Structure } from './layout.ts';
import { results } from './module.ts';
import type { Argument, Call, Pkcs11Module } from './module.ts';

/** Slots of a module that are searched for the token. */
const slotsMax = 256;

/** A session in which the user of the token is logged in. It does one thing at a time; the caller takes care of that. */
export interface Pkcs11Session {
  /** The handle of the AES key with this label. */
  findKey(label: string): Promise<bigint | undefined>;
  generateKey(label: string): Promise<void>;
  /** Returns nonce, ciphertext and tag. */
  encrypt(key: bigint, plain: Uint8Array, associated: Buffer): Promise<Buffer>;
  /** Undefined if the key did not encrypt these bytes with these associated data. */
  decrypt(key: bigint, bytes: Uint8Array, associated: Buffer): Promise<Buffer | undefined>;
}

export interface TokenAccess {
  /** The label of the token. */
  readonly token: string;
  readonly pin: Secret;
}

/** Throws `config_invalid` if the token or its PIN is wrong, `unavailable` for other faults of the module. */
export async function openPkcs11Session(module: Pkcs11Module, { token, pin }: TokenAccess): Promise<Pkcs11Session> {
  const call = async (name: Call, ...args: readonly Argument[]): Promise<void> => {
    const result = await module(name, ...args);
    if (result !== results.ok) throw faultOf(name, result);
  };
  const initialized = await module('C_Initialize', initializeArguments());
  if (initialized !== results.ok && initialized !== results.alreadyInitialized)
    throw faultOf('C_Initialize', initialized);
  const handle = ulong(0n);
  await call('C_OpenSession', await findSlot(call, token), numbers.rwSession, null, null, handle);
  const session = handle.readBigUInt64LE();
  const pinBytes = Buffer.from(pin.reveal(), 'utf8');
  const login = await module('C_Login', session, numbers.userRole, pinBytes, BigInt(pinBytes.length));
  pinBytes.fill(0);
  if (login !== results.ok && login !== results.alreadyLoggedIn) {
    await module('C_CloseSession', session);
    throw login === results.pinIncorrect || login === results.pinLocked
      ? new SoulBoxError('config_invalid', `The PIN for the PKCS #11 token "${token}" is wrong or locked.`)
      : faultOf('C_Login', login);
  }

  const gcm = (nonce: Buffer, associated: Buffer): Structure =>
    mechanism(numbers.aesGcm, gcmParameters(nonce, associated, tagBytes));

  return {
    async findKey(label) {
      const template = keyTemplate(label);
      await call('C_FindObjectsInit', session, template, BigInt(template.bytes.length / attributeBytes));
      const found = Buffer.alloc(16);
      const count = ulong(0n);
      try {
        await call('C_FindObjects', session, found, 2n, count);
      } finally {
        await module('C_FindObjectsFinal', session);
      }
      if (count.readBigUInt64LE() > 1n)
        throw new SoulBoxError('config_invalid', `The PKCS #11 token has several keys with the label "${label}".`);
      return count.readBigUInt64LE() === 0n ? undefined : found.readBigUInt64LE();
    },
    async generateKey(label) {
      const template = newKeyTemplate(label);
      const count = BigInt(template.bytes.length / attributeBytes);
      await call('C_GenerateKey', session, mechanism(numbers.aesKeyGen), template, count, ulong(0n));
    },
    async encrypt(key, plain, associated) {
      const nonce = Buffer.alloc(nonceBytes, randomBytes(nonceBytes));
      const input = Buffer.from(plain);
      const output = Buffer.alloc(plain.length + tagBytes);
      const length = ulong(BigInt(output.length));
      try {
        await call('C_EncryptInit', session, gcm(nonce, associated), key);
        await call('C_Encrypt', session, input, BigInt(input.length), output, length);
      } finally {
        input.fill(0);
      }
      if (length.readBigUInt64LE() !== BigInt(output.length)) throw faultOf('C_Encrypt', results.generalError);
      return Buffer.concat([nonce, output]);
    },
    async decrypt(key, bytes, associated) {
      if (bytes.length < nonceBytes + tagBytes) return undefined;
      const nonce = Buffer.from(bytes.subarray(0, nonceBytes));
      const input = Buffer.from(bytes.subarray(nonceBytes));
      const output = Buffer.alloc(input.length);
      const length = ulong(BigInt(output.length));
      await call('C_DecryptInit', session, gcm(nonce, associated), key);
      const result = await module('C_Decrypt', session, input, BigInt(input.length), output, length);
      if (forged.includes(result)) return undefined;
      if (result !== results.ok) throw faultOf('C_Decrypt', result);
      return output.subarray(0, Number(length.readBigUInt64LE()));
    },
  };
}

/** Modules differ in what they return for a wrong tag. */
const forged: readonly bigint[] = [results.encryptedDataInvalid, results.encryptedDataLength, results.generalError];

async function findSlot(call: (name: Call, ...args: Argument[]) => Promise<void>, token: string): Promise<bigint> {
  const count = ulong(BigInt(slotsMax));
  const slots = Buffer.alloc(slotsMax * 8);
  await call('C_GetSlotList', 1n, slots, count);
  const matches: bigint[] = [];
  for (let n = 0; n < Number(count.readBigUInt64LE()); n++) {
    const slot = slots.readBigUInt64LE(n * 8);
    const info = Buffer.alloc(tokenInfoBytes);
    await call('C_GetTokenInfo', slot, info);
    if (labelOfToken(info) === token) matches.push(slot);
  }
  const [slot] = matches;
  if (slot !== undefined && matches.length === 1) return slot;
  throw new SoulBoxError(
    'config_invalid',
    `The PKCS #11 module has ${matches.length} tokens with the label "${token}". SOULBOX_PKCS11_TOKEN must name one.`,
  );
}

function faultOf(name: Call, result: bigint): SoulBoxError {
  return new SoulBoxError(
    'key_store_unavailable',
    `The PKCS #11 module failed: ${name} returned 0x${result.toString(16)}.`,
  );
}
