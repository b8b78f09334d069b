import { flag, key, wholeNumber } from '@soulbox/base/config';
import type { ConfigOf } from '@soulbox/base';
import { z } from 'zod';

const hostName = z
  .string()
  .toLowerCase()
  .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'must be a host name without scheme and port');

const hostNames: z.ZodType<readonly string[]> = z
  .string()
  .transform((text) => text.split(',').map((entry) => entry.trim()))
  .pipe(z.array(z.union([z.literal('*'), hostName], 'must be host names, or *')).max(100));

const networks: z.ZodType<readonly string[]> = z
  .string()
  .transform((text) => text.split(',').map((entry) => entry.trim()))
  .pipe(z.array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], 'must be addresses or CIDR networks')).max(100));

export const gatewayConfigSchema = {
  host: key('SOULBOX_HOST', z.string().min(1), '127.0.0.1', 'Address on which both ports listen.'),
  port: key('SOULBOX_PORT', wholeNumber(0, 65_535), 3000, 'Port for HTTP/1.1 and h2c; 0 chooses a free port.'),
  tls: key('SOULBOX_TLS', flag, true, 'Whether the TLS port is opened.'),
  tlsPort: key('SOULBOX_TLS_PORT', wholeNumber(0, 65_535), 3443, 'Port for HTTPS; 0 chooses a free port.'),
  domain: key(
    'SOULBOX_DOMAIN',
    hostName,
    'soulbox.localhost',
    'The API is at api.<domain>, a sandbox at <port>-<id>.<domain>.',
  ),
  allowedHosts: key(
    'SOULBOX_ALLOWED_HOSTS',
    hostNames,
    [],
    'Further host names, separated by commas, that programs of this host may use for the server. Others are refused, so that no web page can reach it through a DNS name of its own; `*` allows all.',
  ),
  tlsDirectory: key(
    'SOULBOX_TLS_DIR',
    z.string().min(1),
    '.soulbox/tls',
    "Folder of SoulBox's own CA and certificate.",
  ),
  tlsCertFile: key(
    'SOULBOX_TLS_CERT',
    z.string(),
    '',
    "PEM certificate chain to use instead of SoulBox's own CA; requires SOULBOX_TLS_KEY.",
  ),
  tlsKeyFile: key('SOULBOX_TLS_KEY', z.string(), '', 'PEM private key that belongs to SOULBOX_TLS_CERT.'),
  trustedProxies: key(
    'SOULBOX_TRUSTED_PROXIES',
    networks,
    [],
    'Addresses and CIDR networks, separated by commas, of load balancers in front of the server. `X-Forwarded-For` and `X-Forwarded-Proto` are trusted only from them, for limits by address and for the log.',
  ),
  idleTimeoutMs: key(
    'SOULBOX_GATEWAY_IDLE_TIMEOUT_MS',
    wholeNumber(100, 86_400_000),
    600_000,
    'Milliseconds without a byte in either direction after which a request is aborted.',
  ),
  headersTimeoutMs: key(
    'SOULBOX_GATEWAY_HEADERS_TIMEOUT_MS',
    wholeNumber(100, 600_000),
    15_000,
    'Milliseconds a client has to send a complete request head.',
  ),
  keepAliveTimeoutMs: key(
    'SOULBOX_GATEWAY_KEEP_ALIVE_TIMEOUT_MS',
    wholeNumber(100, 3_600_000),
    75_000,
    'Milliseconds a client connection may wait for its next request.',
  ),
  poolIdleTimeoutMs: key(
    'SOULBOX_GATEWAY_POOL_IDLE_TIMEOUT_MS',
    wholeNumber(10, 600_000),
    4000,
    'Milliseconds an unused connection to a sandbox is kept; must be shorter than the keep-alive time of envd and common servers.',
  ),
  poolSize: key(
    'SOULBOX_GATEWAY_POOL_SIZE',
    wholeNumber(0, 1024),
    16,
    'Unused connections kept per port of a sandbox.',
  ),
  maxStreamsPerSandbox: key(
    'SOULBOX_GATEWAY_MAX_STREAMS_PER_SANDBOX',
    wholeNumber(1, 1_000_000),
    2048,
    'Concurrent requests and upgraded connections of a sandbox; more return 429.',
  ),
  maxConnections: key(
    'SOULBOX_GATEWAY_MAX_CONNECTIONS',
    wholeNumber(1, 1_000_000),
    20_000,
    'Client connections per listening port; more are closed at once.',
  ),
  maxApiRequests: key(
    'SOULBOX_GATEWAY_MAX_API_REQUESTS',
    wholeNumber(1, 1_000_000),
    1000,
    'Concurrent requests to the API of one key or one address; more return 429.',
  ),
  unreadMb: key(
    'SOULBOX_GATEWAY_UNREAD_MB',
    wholeNumber(1, 1024 * 1024),
    512,
    'MiB that can wait in memory for slow readers; beyond it, the connection that has waited longest is reset.',
  ),
  unreadPerOwnerMb: key(
    'SOULBOX_GATEWAY_UNREAD_PER_OWNER_MB',
    wholeNumber(1, 1024 * 1024),
    128,
    'The same for one sandbox or one API key.',
  ),
  portClosedRetries: key(
    'SOULBOX_GATEWAY_PORT_CLOSED_RETRIES',
    wholeNumber(0, 100),
    3,
    'Retries if nothing listens on a port yet.',
  ),
  portClosedRetryDelayMs: key(
    'SOULBOX_GATEWAY_PORT_CLOSED_RETRY_DELAY_MS',
    wholeNumber(0, 60_000),
    100,
    'Milliseconds between these retries.',
  ),
  wakeTimeoutMs: key(
    'SOULBOX_GATEWAY_WAKE_TIMEOUT_MS',
    wholeNumber(100, 600_000),
    60_000,
    'Milliseconds a request waits for its paused sandbox to be resumed; then it returns 503, and the resume continues.',
  ),
  shutdownGraceMs: key(
    'SOULBOX_GATEWAY_SHUTDOWN_GRACE_MS',
    wholeNumber(0, 3_600_000),
    2000,
    'Milliseconds that open requests have to finish after the stop; then they are reset.',
  ),
  accessLog: key(
    'SOULBOX_GATEWAY_ACCESS_LOG',
    z.enum(['off', 'debug', 'info']),
    'debug',
    'Log level of the line that is written for each request.',
  ),
} as const;

export type GatewayConfig = ConfigOf<typeof gatewayConfigSchema>;
