import { open } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';

/** Of S3 and R2. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

const maxBytes = 64 * 1024;

/** Throws `config_invalid` if others than the owner may read the file, or if it is no JSON object. */
export async function readCredentialsFile(path: string): Promise<Readonly<Record<string, unknown>>> {
  const invalid = (why: string, cause?: unknown): SoulBoxError =>
    new SoulBoxError('config_invalid', `The credentials file ${path} ${why}.`, { cause });
  let text: string;
  try {
    await using file = await open(path);
    const facts = await file.stat();
    if (!facts.isFile() || facts.size > maxBytes) throw invalid(`is not a file of at most ${maxBytes} bytes`);
    if ((facts.mode & 0o077) !== 0) throw invalid('can be read by other users: set its mode to 0600');
    text = await file.readFile('utf8');
  } catch (error) {
    throw error instanceof SoulBoxError ? error : invalid('cannot be read', error);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // The message of the parser has parts of the text.
  }
  throw invalid('is not a JSON object');
}

/** Where credentials come from. It is called again after a while, so that rotated credentials take effect. */
export interface CredentialsSource {
  /** For messages. */
  readonly name: string;
  /** Throws `config_invalid`. */
  readonly read: () => Promise<Readonly<Record<string, unknown>>>;
}

export const credentialsOfFile = (path: string): CredentialsSource => ({
  name: `The credentials file ${path}`,
  read: () => readCredentialsFile(path),
});

/** Of S3 and R2. Throws `config_invalid`. */
export async function readS3Credentials({ name, read }: CredentialsSource): Promise<Credentials> {
  const { accessKeyId, secretAccessKey, sessionToken } = await read();
  const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
  if (isText(accessKeyId) && isText(secretAccessKey) && (sessionToken === undefined || isText(sessionToken)))
    return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
  const wanted = '"accessKeyId" and "secretAccessKey", and optionally "sessionToken"';
  throw new SoulBoxError('config_invalid', `${name} must have the texts ${wanted}.`);
}
