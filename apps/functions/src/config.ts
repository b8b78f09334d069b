import { key, wholeNumber } from '@soulbox/base';
import type { ConfigOf } from '@soulbox/base';

/** Settings of edge functions; docs/config.md is generated from this table. */
export const functionsConfigSchema = {
  functionLimit: key(
    'SOULBOX_FUNCTION_LIMIT',
    wholeNumber(0, 100_000),
    100,
    'Edge functions a team may have. One more answers 429.',
  ),
  functionVersionsKept: key(
    'SOULBOX_FUNCTION_VERSIONS_KEPT',
    wholeNumber(1, 1000),
    20,
    'Versions of a function that are kept for a rollback; the active one is kept beside them.',
  ),
  functionIdleSeconds: key(
    'SOULBOX_FUNCTION_IDLE_SECONDS',
    wholeNumber(1, 86_400),
    60,
    'Seconds without a request after which a function sleeps, when its deployment does not say.',
  ),
  functionTimeoutMs: key(
    'SOULBOX_FUNCTION_TIMEOUT_MS',
    wholeNumber(100, 900_000),
    30_000,
    'Milliseconds a function has to begin its answer, when its deployment does not say; then the request gets 504.',
  ),
  functionMemoryMb: key(
    'SOULBOX_FUNCTION_MEMORY_MB',
    wholeNumber(16, 65_536),
    128,
    "Megabytes the code of a function may use beyond its engine's own, when its deployment does not say.",
  ),
  functionMemoryMaxMb: key(
    'SOULBOX_FUNCTION_MEMORY_MAX_MB',
    wholeNumber(16, 65_536),
    256,
    'Most that a deployment may ask for. The template `edge` has 512 for code, engine and supervisor together.',
  ),
  functionBodyMaxBytes: key(
    'SOULBOX_FUNCTION_BODY_MAX_BYTES',
    wholeNumber(0, 1_073_741_824),
    10_485_760,
    'Bytes of a request body, and the most that a deployment may ask for; more get 413.',
  ),
  kvNamespaceLimit: key(
    'SOULBOX_KV_NAMESPACE_LIMIT',
    wholeNumber(0, 100_000),
    100,
    'Key-value namespaces a team may have.',
  ),
  kvKeyLimit: key('SOULBOX_KV_KEY_LIMIT', wholeNumber(1, 100_000_000), 100_000, 'Keys of a key-value namespace.'),
  kvNamespaceMaxBytes: key(
    'SOULBOX_KV_NAMESPACE_MAX_BYTES',
    wholeNumber(1, 1_099_511_627_776),
    1_073_741_824,
    'Bytes of all values of a key-value namespace.',
  ),
  kvValueMaxBytes: key(
    'SOULBOX_KV_VALUE_MAX_BYTES',
    wholeNumber(1, 26_214_400),
    26_214_400,
    'Bytes of one value; Workers KV allows 25 MiB.',
  ),
} as const;

export type FunctionsConfig = ConfigOf<typeof functionsConfigSchema>;
