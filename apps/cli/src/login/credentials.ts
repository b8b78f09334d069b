import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isNodeError, Secret, SoulBoxError, writeFileAtomic } from '@soulbox/base';
import { userConfigFolder } from '../config.ts';

/** What `soulbox auth login` keeps for the person who ran it. */
export interface Credentials {
  /** The server, without a trailing slash. */
  readonly url: string;
  readonly token: Secret;
  /** The team for which commands act. */
  readonly teamId: string;
  readonly email: string;
}

function fileOf(): string {
  return join(userConfigFolder(), 'credentials.json');
}

/** Undefined for a person who has not signed in. Throws `config_invalid` for a file that is not ours. */
export async function readCredentials(): Promise<Credentials | undefined> {
  const file = fileOf();
  try {
    const { url, token, teamId, email } = (JSON.parse(await readFile(file, 'utf8')) ?? {}) as Record<string, unknown>;
    if ([url, token, teamId, email].every((value) => typeof value === 'string'))
      return { url: String(url), token: new Secret(String(token)), teamId: String(teamId), email: String(email) };
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new SoulBoxError('config_invalid', `${file} is not valid. Delete it, and sign in with "soulbox auth login".`);
}

/** Only the person may read the file. */
export async function writeCredentials({ token, ...rest }: Credentials): Promise<void> {
  const file = fileOf();
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFileAtomic(file, `${JSON.stringify({ ...rest, token: token.reveal() }, null, 2)}\n`);
}

export async function removeCredentials(): Promise<void> {
  await rm(fileOf(), { force: true });
}

/** The token as a key of the team, for clients that send keys. */
export function keyFrom({ token, teamId }: Credentials): Secret {
  return new Secret(`${token.reveal()}_${teamId}`);
}
