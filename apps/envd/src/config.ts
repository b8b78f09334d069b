import { envdForwardPort, envdPort } from '@soulbox/contract';

/** What differs between a sandbox and a test; everything else about envd comes with POST /init. */
export interface EnvdConfig {
  /** TCP port on every address. */
  readonly port: number;
  /** File (0600, root) with the token that proves a caller to be the host. */
  readonly hostTokenPath: string;
  /** Search path handed to processes. */
  readonly searchPath: string;
  /**
   * The sandbox's kernel is not the host's. It ignores setuid bits, and the host cannot dial its loopback: envd does for
   * `sudo` what a setuid bit would, and forwards what the host sends to a port.
   */
  readonly ownKernel: boolean;
  /** TCP port on every address for what is forwarded. */
  readonly forwardPort: number;
}

/** The first argument that makes the program the client of `sudo` instead of envd. */
export const sudoMode = 'sudo';
/** The search path of whoever has set none, and of what runs by sudo. */
export const usualSearchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Reads `SOULBOX_ENVD_PORT` and `SOULBOX_ENVD_FORWARD_PORT` (tests only), `ENVD_OWN_KERNEL` (set by the driver) and
 * PATH. Not `loadConfig` of base: its parser would double envd's memory.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): EnvdConfig {
  const path = environment['PATH'] ?? '';
  return {
    port: readPort(environment['SOULBOX_ENVD_PORT'], envdPort),
    forwardPort: readPort(environment['SOULBOX_ENVD_FORWARD_PORT'], envdForwardPort),
    hostTokenPath: '/run/soulbox/host-token',
    searchPath: path === '' ? usualSearchPath : path,
    ownKernel: environment['ENVD_OWN_KERNEL'] === '1',
  };
}

function readPort(text: string | undefined, usual: number): number {
  const port = Number(text ?? usual);
  return Number.isInteger(port) && port >= 0 && port <= 65_535 ? port : usual;
}

/** All variables of this process, which `sudo` passes on some of. */
export function readEnvironment(): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(process.env).map(([name, value]) => [name, value ?? '']));
}
