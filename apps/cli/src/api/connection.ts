import { Secret, SoulBoxError } from '@soulbox/base';
import { environment, readContextName, resolveFolders } from '../config.ts';
import { getContext, readContexts } from '../login/contexts.ts';
import type { Context } from '../login/contexts.ts';
import { keyFrom, readCredentials } from '../login/credentials.ts';

/** The address of the API and the key of the team. */
export interface ApiConnection {
  /** Without a trailing slash. */
  readonly url: string;
  readonly key: Secret;
  /** How it was found, for people. */
  readonly source?: string;
  /** The URL that reaches a port of a sandbox. Requests to it must also have the two routing headers. */
  sandboxUrl(sandboxId: string, port: number): string;
}

/**
 * Finds the server, by the first of: `--data-dir`; the context of `--context` or SOULBOX_CONTEXT; the E2B variables,
 * which every client reads; the context of "soulbox context use"; the server at which the person is signed in; the
 * default data folder. Throws `host_not_ready` when there is none and `config_invalid` for an incomplete address and
 * for an unknown context.
 */
export async function findApi(dataDirFlag: string | undefined): Promise<ApiConnection> {
  const named = dataDirFlag === undefined ? await findNamedApi() : undefined;
  if (named !== undefined) return named;
  const { dataDirectory } = resolveFolders(dataDirFlag);
  // Only this way needs the records, which take longer to load than all else.
  const [{ findServer }, { readClientEnvironment }] = await Promise.all([
    import('@soulbox/box/server-file'),
    import('../server/client-lines.ts'),
  ]);
  const server = await findServer(dataDirectory);
  const local =
    server?.state === 'ready'
      ? connectionFrom(await readClientEnvironment(dataDirectory, server, false), dataDirectory)
      : undefined;
  if (local !== undefined) return local;
  throw new SoulBoxError(
    'host_not_ready',
    `No server is running for ${dataDirectory}. Start one with "soulbox up --detach", choose one with "soulbox context use", or set E2B_API_URL and E2B_API_KEY.`,
  );
}

/** The server that the command line, the environment or the person has named; undefined if there is none. */
export async function findNamedApi(): Promise<ApiConnection | undefined> {
  const name = readContextName();
  if (name !== undefined) return fromContext(name, await getContext(name));
  const variables = connectionFrom(environment);
  if (variables !== undefined) return variables;
  const { current } = await readContexts();
  return current === undefined ? await findLogin() : fromContext(current, await getContext(current));
}

function fromContext(name: string, { url, sandboxUrl = url, key }: Context): ApiConnection {
  return { url, key, source: `context ${name}`, sandboxUrl: () => sandboxUrl };
}

/** The server of `soulbox auth login`, for the team that was chosen there. */
async function findLogin(): Promise<ApiConnection | undefined> {
  const credentials = await readCredentials();
  if (credentials === undefined) return undefined;
  const { url } = credentials;
  return { url, key: keyFrom(credentials), source: 'soulbox auth login', sandboxUrl: () => url };
}

/**
 * Reads the variables as the official clients do: a URL takes precedence over a domain. Throws `config_invalid` for an
 * invalid URL.
 */
function connectionFrom(
  variables: Readonly<Record<string, string | undefined>>,
  source?: string,
): ApiConnection | undefined {
  const { E2B_API_URL: apiUrl = '', E2B_DOMAIN: domain = '', E2B_API_KEY: key = '' } = variables;
  const { E2B_SANDBOX_URL: sandboxUrl = apiUrl } = variables;
  const url = apiUrl === '' && domain !== '' ? `https://api.${domain}` : apiUrl;
  if (url === '') return undefined;
  if (key === '') {
    // Otherwise another server than the named one would be used silently, with a key of that other server.
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
    source: source ?? (apiUrl === '' ? 'E2B_DOMAIN' : 'E2B_API_URL'),
    sandboxUrl: (sandboxId, port) => (sandboxUrl === '' ? `https://${port}-${sandboxId}.${domain}` : sandboxUrl),
  };
}
