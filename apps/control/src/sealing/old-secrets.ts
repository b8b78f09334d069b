import { createDecipheriv } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isNodeError, Secret, SoulBoxError } from '@soulbox/base';

const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** Opens the secrets of functions as older versions encrypted them. Undefined for a text that does not open. */
export type OpenOldSecret = (text: string, functionId: string, name: string) => Secret | undefined;

/**
 * With the key of an older version (64 hexadecimal digits). Without the file, nothing opens. Throws `config_invalid`
 * for a file without a key.
 */
export async function openOldSecrets(keyFile: string): Promise<OpenOldSecret> {
  const key = await readKey(keyFile);
  if (key === undefined) return () => undefined;
  return (text, functionId, name) => {
    const bytes = Buffer.from(text, 'base64');
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
        .setAAD(Buffer.from(`function:${functionId}:${name}`))
        .setAuthTag(bytes.subarray(-tagBytes));
      const opened = decipher.update(bytes.subarray(nonceBytes, -tagBytes));
      return new Secret(Buffer.concat([opened, decipher.final()]).toString('utf8'));
    } catch {
      return undefined;
    }
  };
}

async function readKey(file: string): Promise<Buffer | undefined> {
  try {
    const key = Buffer.from((await readFile(file, 'utf8')).trim(), 'hex');
    if (key.length === keyBytes) return key;
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
  throw new SoulBoxError(
    'config_invalid',
    `${file} does not contain a key of ${keyBytes} bytes in hexadecimal digits.`,
  );
}
