import { createHash, createHmac, createSecretKey, hash as digest, randomBytes } from 'node:crypto';
import {
  chownSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { isNodeError, SoulBoxError } from '@soulbox/base';

/**
 * The secret of the server with which API keys are stored. Without it, the records neither contain what a guess could
 * be compared with, nor can anyone who writes to them add a key.
 */
export interface KeyPepper {
  /** Names the pepper in the records: 16 hexadecimal digits of a hash. */
  readonly id: string;
  /** The stored form of a key: HMAC-SHA-256 of its SHA-256, in hexadecimal digits. */
  readonly seal: (key: string) => string;
  /** The same, from the SHA-256 that earlier versions stored. */
  readonly sealOldHash: (sha256: string) => string;
}

const pepperBytes = 32;
const form = /^[A-Za-z0-9_-]{43}$/;

/** The file with the pepper, beside the records file: `secrets/key-pepper`, 0600. */
export const pepperFileOf = (recordsFile: string): string => join(dirname(recordsFile), 'secrets', 'key-pepper');

/** Undefined if there is no file. Throws `config_invalid` for a file with anything else in it. */
export function findKeyPepper(file: string): KeyPepper | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
  if (form.test(text)) return pepperFrom(text);
  throw new SoulBoxError(
    'config_invalid',
    `${file} has no pepper of API keys: 43 characters in base64url. Restore it from a backup.`,
  );
}

/**
 * Creates the file, or returns the pepper of a process that was faster. The file is complete and on the disk before it
 * has its name.
 */
export function createKeyPepper(file: string): KeyPepper {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    writeFlushed(temporary, `${randomBytes(pepperBytes).toString('base64url')}\n`);
    // A command of root may be the first; the file belongs to whoever owns the folder.
    const { uid, gid } = statSync(dirname(file));
    if (process.getuid?.() === 0) chownSync(temporary, uid, gid);
    linkSync(temporary, file);
    flushFolder(dirname(file));
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'EEXIST') throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  const pepper = findKeyPepper(file);
  if (pepper === undefined) throw new SoulBoxError('internal', 'The pepper of API keys was removed meanwhile.');
  return pepper;
}

function pepperFrom(text: string): KeyPepper {
  const bytes = Buffer.from(text, 'base64url');
  // Made once: this takes longer than an HMAC with it.
  const key = createSecretKey(bytes);
  const sealOldHash = (sha256: string): string => createHmac('sha256', key).update(sha256).digest('hex');
  return {
    id: createHash('sha256').update('soulbox key pepper').update(bytes).digest('hex').slice(0, 16),
    seal: (presented) => sealOldHash(digest('sha256', presented)),
    sealOldHash,
  };
}

/** A name that a crash of the host takes back would take all keys with it. */
function flushFolder(folder: string): void {
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function writeFlushed(file: string, text: string): void {
  const descriptor = openSync(file, 'wx', 0o600);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
