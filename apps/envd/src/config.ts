import { envdForwardPort, envdPort } from '@soulbox/contract';

/** The settings that differ between a sandbox and a test. All other settings come with POST /init. */
export interface EnvdConfig {
  /** The TCP port, on every address. */
  readonly port: number;
  /** The file (0600, root) with the token that proves that a caller is the host. */
  readonly hostTokenPath: string;
  /** The folder for output that does not fit into memory. Only root may read it. */
  readonly logDirectory: string;
  /** The search path of started processes. */
  readonly searchPath: string;
  /**
   * The sandbox has a kernel of its own. It ignores setuid bits, and the host cannot dial its loopback. So envd does
   * the work of the setuid bit for `sudo`, and forwards the host's connections to a port.
   */
  readonly ownKernel: boolean;
  /** The TCP port, on every address, for forwarded connections. */
  readonly forwardPort: number;
}

/** The first argument that makes the program the client of `sudo` instead of envd. */
export const sudoMode = 'sudo';
/** The search path of users without one, and of programs run by sudo. */
export const usualSearchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Reads `SOULBOX_ENVD_PORT` and `SOULBOX_ENVD_FORWARD_PORT` (tests only), `ENVD_OWN_KERNEL` (set by the driver) and
 * PATH. It does not use `loadConfig` of base, because that parser would double envd's memory.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): EnvdConfig {
  const path = environment['PATH'] ?? '';
  return {
    port: readPort(environment['SOULBOX_ENVD_PORT'], envdPort),
    forwardPort: readPort(environment['SOULBOX_ENVD_FORWARD_PORT'], envdForwardPort),
    hostTokenPath: '/run/soulbox/host-token',
    logDirectory: '/var/lib/soulbox/process-logs',
    searchPath: path === '' ? usualSearchPath : path,
    ownKernel: environment['ENVD_OWN_KERNEL'] === '1',
  };
}

function readPort(text: string | undefined, usual: number): number {
  const port = Number(text ?? usual);
  return Number.isInteger(port) && port >= 0 && port <= 65_535 ? port : usual;
}

/** All variables of this process. `sudo` passes some of them on. */
export function readEnvironment(): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(process.env).map(([name, value]) => [name, value ?? '']));
}
