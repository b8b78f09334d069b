import { open } from 'node:fs/promises';
import { isNodeError, Secret, SoulBoxError } from '@soulbox/base';

const bytesMax = 4096;

/**
 * The secret of this server at the provider of sign-in, from the operator's file. Undefined without a file. Read while
 * the process has its privileges. Throws `config_invalid` for a file that is missing, empty, too large, or readable by
 * others.
 */
export async function readClientSecret(file: string): Promise<Secret | undefined> {
  if (file === '') return undefined;
  const refused = (why: string): SoulBoxError =>
    new SoulBoxError('config_invalid', `SOULBOX_OIDC_CLIENT_SECRET_FILE: ${file} ${why}`);
  try {
    await using handle = await open(file, 'r');
    const stats = await handle.stat();
    if (!stats.isFile() || stats.size > bytesMax) throw refused(`must be a file of at most ${bytesMax} bytes`);
    if ((stats.mode & 0o077) !== 0) throw refused('can be read by other users: use "chmod 600"');
    const text = (await handle.readFile('utf8')).trim();
    if (text === '') throw refused('is empty');
    return new Secret(text);
  } catch (error) {
    if (!(error instanceof SoulBoxError) && isNodeError(error) && error.code !== undefined)
      throw refused(`cannot be read: ${error.code}`);
    throw error;
  }
}
