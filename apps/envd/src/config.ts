import { envdPort } from '@soulbox/contract';

/** What differs between a sandbox and a test; everything else about envd comes with POST /init. */
export interface EnvdConfig {
  /** TCP port on every address. */
  readonly port: number;
  /** File (0600, root) with the token that proves a caller to be the host. */
  readonly hostTokenPath: string;
  /** Search path handed to processes. */
  readonly searchPath: string;
  /** The kernel ignores setuid bits: envd does for `sudo` what they would. */
  readonly servesSudo: boolean;
}

/** The first argument that makes the program the client of `sudo` instead of envd. */
export const sudoMode = 'sudo';
/** The search path of whoever has set none, and of what runs by sudo. */
export const usualSearchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Reads `SOULBOX_ENVD_PORT` (tests only), `SOULBOX_ENVD_SUDO` (drivers whose kernel has no setuid) and PATH. Not `loadConfig` of base: its parser would double envd's memory. */
export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): EnvdConfig {
  const port = Number(environment['SOULBOX_ENVD_PORT'] ?? envdPort);
  const path = environment['PATH'] ?? '';
  return {
    port: Number.isInteger(port) && port >= 0 && port <= 65_535 ? port : envdPort,
    hostTokenPath: '/run/soulbox/host-token',
    searchPath: path === '' ? usualSearchPath : path,
    servesSudo: environment['SOULBOX_ENVD_SUDO'] === '1',
  };
}

/** All variables of this process, which `sudo` passes on some of. */
export function readEnvironment(): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(process.env).map(([name, value]) => [name, value ?? '']));
}
