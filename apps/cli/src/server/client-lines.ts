import { SoulBoxError } from '@soulbox/base';
import { readDefaultApiKey } from '@soulbox/box/credentials';
import type { ServerFile } from '@soulbox/box/server-file';
import { shellQuote } from '../output/shell-quote.ts';

const plainNames = ['E2B_API_URL', 'E2B_SANDBOX_URL', 'E2B_VOLUME_API_URL'];

/** The variables for E2B clients. With `tls` only those for TLS, otherwise those for plain HTTP, which come first. */
export async function readClientEnvironment(
  dataDirectory: string,
  server: ServerFile,
  tls: boolean,
): Promise<Record<string, string>> {
  const key = await readDefaultApiKey(dataDirectory);
  if (key === undefined) throw new SoulBoxError('key_not_found', `${dataDirectory} has no default API key.`);
  if (tls && server.client['E2B_DOMAIN'] === undefined) {
    throw new SoulBoxError('config_invalid', 'The server runs without TLS (SOULBOX_TLS=false).');
  }
  const wanted = Object.entries(server.client).filter(([name]) => !tls || !plainNames.includes(name));
  // E2B's CLI up to 2.10 also needs an access token; any of our keys works.
  return { ...Object.fromEntries(wanted), E2B_API_KEY: key.reveal(), E2B_ACCESS_TOKEN: key.reveal() };
}

/** Lines for `eval`. With `tls` they also unset the variables of an earlier `eval` for plain HTTP. */
export function toShellLines(variables: Readonly<Record<string, string>>, tls: boolean): string {
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}=${shellQuote(value)}`);
  return [...(tls ? [`unset ${plainNames.join(' ')}`] : []), ...lines].join('\n');
}
