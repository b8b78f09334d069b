import { join } from 'node:path';
import { z } from 'zod';
import { apiConfigSchema, findSignInFaults } from '@soulbox/api/config';
import type { ApiConfig } from '@soulbox/api/config';
import { findUnknownKeys, key, readConfig, refuseFaults, wholeNumber } from '@soulbox/base/config';
import type { ConfigOf, ConfigSchema } from '@soulbox/base';
import { findKeyringFaults, keyringConfigSchema } from '@soulbox/keyring/config';
import type { KeyringConfig } from '@soulbox/keyring/config';
import { functionsConfigSchema } from '@soulbox/functions/config';
import type { FunctionsConfig } from '@soulbox/functions/config';
import { gatewayConfigSchema } from '@soulbox/gateway/config';
import type { GatewayConfig } from '@soulbox/gateway/config';
import { findNameServerFault } from '@soulbox/network';
import { isNetwork } from '@soulbox/network/outside';
import { cacheConfigSchema, findCacheFaults } from './storage/cache-config.ts';
import type { CacheConfig } from './storage/cache-config.ts';
import { findStorageFaults, storageConfigSchema } from './storage/config.ts';
import type { StorageConfig } from './storage/config.ts';
import { sshConfigSchema } from '@soulbox/ssh/config';
import type { SshConfig } from '@soulbox/ssh/config';
import { runnerConfigSchema } from '@soulbox/runner/config';
import type { RunnerConfig } from '@soulbox/runner/config';

const ranges: z.ZodType<readonly string[]> = z
  .string()
  .transform((text) => text.split(',').map((entry) => entry.trim()))
  .pipe(z.array(z.string().refine(isNetwork, 'must be addresses or CIDR networks')).max(1000));

export const boxConfigSchema = {
  dataDirectory: key(
    'SOULBOX_DATA_DIR',
    z
      .string()
      .startsWith('/', 'must be an absolute path')
      // Scripts of a driver get paths line by line.
      .regex(/^[^\n]*$/, 'must not contain a line break'),
    '/var/lib/soulbox',
    'Folder for everything the server keeps (mode 0700).',
  ),
  templatesDirectory: key(
    'SOULBOX_TEMPLATES_DIR',
    z.string(),
    '',
    'Folder of the templates, if not in the data folder. Several servers can share it.',
  ),
  networkCidr: key(
    'SOULBOX_NETWORK_CIDR',
    z.string().regex(/^(?:25[0-5]|2[0-4]\d|1?\d?\d)\.(?:25[0-5]|2[0-4]\d|1?\d?\d)\.0\.0\/16$/, 'must be a.b.0.0/16'),
    '',
    'IPv4 /16 for the host side of sandboxes. Empty: 10.(200 + instance).0.0/16.',
  ),
  egressCaFile: key(
    'SOULBOX_EGRESS_CA_FILE',
    z.string(),
    '',
    'File with certificate authorities, in PEM, that hosts with rules of network policies may have besides those of this system.',
  ),
  deniedRanges: key(
    'SOULBOX_DENIED_RANGES',
    ranges,
    [],
    'Addresses and CIDR networks, separated by commas, that sandboxes, webhooks and image registries must not reach, in addition to private and local ones and the addresses of the host. For example the public address of a host behind address translation, or its neighbors.',
  ),
  metricsToken: key(
    'SOULBOX_METRICS_TOKEN',
    z.string().regex(/^[\w.~+/=-]{16,256}$/, 'must be 16 to 256 characters of a bearer token'),
    '',
    'Bearer token with which `GET /metrics` returns the metrics of the server; an API key returns those of its team. Empty: the token in `secrets/metrics-token` of the data folder, which the first start creates.',
  ),
  tracesUrl: key(
    'SOULBOX_TRACES_URL',
    z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }),
    '',
    'URL to which the traces of the server are sent by OTLP over HTTP (JSON), for example `http://127.0.0.1:4318/v1/traces`. Empty: nothing is recorded, and the libraries of OpenTelemetry are not loaded.',
  ),
  tracesSamplePercent: key(
    'SOULBOX_TRACES_SAMPLE_PERCENT',
    wholeNumber(0, 100),
    100,
    'Percent of the traces that are recorded. Of those that a `traceparent` names, only traces that it marks as recorded.',
  ),
  logLevel: key(
    'SOULBOX_LOG_LEVEL',
    z.enum(['debug', 'info', 'warn', 'error', 'silent']),
    'info',
    'Lowest log level that is written.',
  ),
  logMaxMb: key(
    'SOULBOX_LOG_MAX_MB',
    wholeNumber(0, 1024 * 1024),
    100,
    'MiB of a log file (`--log-file`, `logs/server.log`), after which it is rotated to `server.log.1`. 0: never; rotate it yourself, then send SIGHUP.',
  ),
  logFiles: key('SOULBOX_LOG_FILES', wholeNumber(1, 1000), 5, 'Number of rotated log files that are kept.'),
} as const;

/** The settings of a whole server on one machine. */
export interface BoxConfig extends ConfigOf<typeof boxConfigSchema> {
  readonly api: ApiConfig;
  readonly functions: FunctionsConfig;
  readonly keyring: KeyringConfig;
  readonly gateway: GatewayConfig;
  readonly runner: RunnerConfig;
  readonly ssh: SshConfig;
  readonly storage: StorageConfig;
  readonly cache: CacheConfig;
}

/** Settings that command-line flags may override; flags take precedence over the environment. */
export interface BoxOverrides {
  readonly dataDirectory?: string;
  readonly templatesDirectory?: string;
  readonly host?: string;
  readonly port?: number;
  readonly tlsPort?: number;
  readonly sshPort?: number;
  readonly instance?: number;
  readonly poolSize?: number;
  readonly isolation?: RunnerConfig['isolation'];
  readonly encryptDisks?: boolean;
}

/**
 * Reads the settings of all parts. Throws one `config_invalid` that names every error: bad values, contradictions and
 * unknown `SOULBOX_*` keys.
 */
export function loadBoxConfig(
  environment: Readonly<Record<string, string | undefined>>,
  overrides: BoxOverrides = {},
): BoxConfig {
  const faults = findUnknownKeys(
    [
      boxConfigSchema,
      keyringConfigSchema,
      apiConfigSchema,
      functionsConfigSchema,
      gatewayConfigSchema,
      runnerConfigSchema,
      sshConfigSchema,
      storageConfigSchema,
      cacheConfigSchema,
    ],
    environment,
  ).map((name) => `${name}: unknown setting. docs/config.md lists all settings`);
  const {
    host,
    port,
    tlsPort,
    sshPort,
    instance,
    poolSize,
    isolation,
    encryptDisks,
    dataDirectory,
    templatesDirectory,
  } = overrides;
  const read = <S extends ConfigSchema>(schema: S, values: Partial<ConfigOf<S>> = {}): ConfigOf<S> =>
    readConfig(schema, environment, { overrides: values, faults });
  const box = read(boxConfigSchema, defined({ dataDirectory, templatesDirectory }));
  const tlsDirectory =
    environment[gatewayConfigSchema.tlsDirectory.env] === undefined ? join(box.dataDirectory, 'tls') : undefined;
  const api = read(apiConfigSchema);
  const functions = read(functionsConfigSchema);
  const keyring = read(keyringConfigSchema);
  const gateway = read(gatewayConfigSchema, defined({ host, port, tlsPort, tlsDirectory }));
  const ssh = read(sshConfigSchema, sshPort === undefined ? {} : { port: sshPort });
  const storage = read(storageConfigSchema);
  const cache = read(cacheConfigSchema);
  const runner = readConfig(
    runnerConfigSchema,
    { SOULBOX_REGISTRY_PROXY: findHostProxy(environment), ...environment },
    { overrides: defined({ instance, poolSize, isolation, encryptDisks }), faults },
  );
  if ((gateway.tlsCertFile === '') !== (gateway.tlsKeyFile === ''))
    faults.push('SOULBOX_TLS_CERT, SOULBOX_TLS_KEY: only useful together');
  const nameServerFaults = runner.nameServers.map(findNameServerFault).filter((fault) => fault !== undefined);
  faults.push(...nameServerFaults.map((fault) => `SOULBOX_NAME_SERVERS: ${fault}`));
  faults.push(...findKeyringFaults(keyring));
  faults.push(...findSignInFaults(api));
  faults.push(...findStorageFaults(storage), ...findCacheFaults(cache, storage.url));
  refuseFaults(faults);
  const templates = box.templatesDirectory === '' ? join(box.dataDirectory, 'templates') : box.templatesDirectory;
  return { ...box, templatesDirectory: templates, api, functions, keyring, gateway, runner, ssh, storage, cache };
}

/** The proxy that other programs of the host use, if it is of a kind that we support. */
function findHostProxy(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const text = environment['HTTPS_PROXY'] ?? environment['https_proxy'] ?? '';
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  return url !== null && /^https?:$/.test(url.protocol) && url.hostname !== '' ? url.href : undefined;
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function defined<T extends Record<string, unknown>>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
