import { envdPort } from '@soulbox/contract';

/** What differs between a sandbox and a test; everything else about envd comes with POST /init. */
export interface EnvdConfig {
  /** TCP port on every address. */
  readonly port: number;
  /** File (0600, root) with the token that proves a caller to be the host. */
  readonly hostTokenPath: string;
  /** Search path handed to processes. */
  readonly searchPath: string;
}

const defaultSearchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Reads `SOULBOX_ENVD_PORT` (tests only) and PATH. Not `loadConfig` of base: its parser would double envd's memory. */
export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): EnvdConfig {
  const port = Number(environment['SOULBOX_ENVD_PORT'] ?? envdPort);
  const path = environment['PATH'] ?? '';
  return {
    port: Number.isInteger(port) && port >= 0 && port <= 65_535 ? port : envdPort,
    hostTokenPath: '/run/soulbox/host-token',
    searchPath: path === '' ? defaultSearchPath : path,
  };
}
