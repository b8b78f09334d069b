import { Secret, SoulBoxError } from '@soulbox/base';
import { findServer } from '@soulbox/box/server-file';
import { environment, resolveFolders } from '../config.ts';
import { readClientEnvironment } from '../server/client-lines.ts';

/** Where the API is, and the key of the team that asks. */
export interface ApiConnection {
  /** Without a slash at its end. */
  readonly url: string;
  readonly key: Secret;
  /** Where a port of a sandbox is reached, for requests that also carry the two routing headers. */
  sandboxUrl(sandboxId: string, port: number): string;
}

/**
 * The server of `--data-dir` when it is given; else the one that the E2B variables name, as they do for every other client;
 * else the server of the default data folder. Throws `host_not_ready` when there is none, `config_invalid` for half an address.
 */
export async function findApi(dataDirFlag: string | undefined): Promise<ApiConnection> {
  const named = dataDirFlag === undefined ? connectionFrom(environment) : undefined;
  if (named !== undefined) return named;
  const { dataDirectory } = resolveFolders(dataDirFlag);
  const server = await findServer(dataDirectory);
  const local =
    server?.state === 'ready' ? connectionFrom(await readClientEnvironment(dataDirectory, server, false)) : undefined;
  if (local !== undefined) return local;
  throw new SoulBoxError(
    'host_not_ready',
    `No server is running for ${dataDirectory}. Start one with "soulbox up --detach", or set E2B_API_URL and E2B_API_KEY.`,
  );
}

/** As the official clients read them: a URL wins over a domain. Throws `config_invalid` when that is none. */
function connectionFrom(variables: Readonly<Record<string, string | undefined>>): ApiConnection | undefined {
  const { E2B_API_URL: apiUrl = '', E2B_DOMAIN: domain = '', E2B_API_KEY: key = '' } = variables;
  const { E2B_SANDBOX_URL: sandboxUrl = apiUrl } = variables;
  const url = apiUrl === '' && domain !== '' ? `https://api.${domain}` : apiUrl;
  if (url === '') return undefined;
  if (key === '') {
    // Another server than the one that was named would be asked in silence, with a key that opens it.
    const name = apiUrl === '' ? 'E2B_DOMAIN' : 'E2B_API_URL';
    throw new SoulBoxError(
      'config_invalid',
      `${name} is set, but E2B_API_KEY is not. Set it too, unset ${name}, or choose a server of this host with --data-dir.`,
    );
  }
  if (!URL.canParse(url)) {
    const name = apiUrl === '' ? 'E2B_DOMAIN' : 'E2B_API_URL';
    throw new SoulBoxError('config_invalid', `${name} does not result in a valid URL: ${url}`);
  }
  return {
    url: url.replace(/\/+$/, ''),
    key: new Secret(key),
    sandboxUrl: (sandboxId, port) => (sandboxUrl === '' ? `https://${port}-${sandboxId}.${domain}` : sandboxUrl),
  };
}
