import { key, wholeNumber } from '@soulbox/base/config';
import type { ConfigOf } from '@soulbox/base';

/** Settings of edge functions; docs/config.md is generated from this table. */
export const functionsConfigSchema = {
  functionLimit: key(
    'SOULBOX_FUNCTION_LIMIT',
    wholeNumber(0, 100_000),
    100,
    'Edge functions a team may have. One more returns 429.',
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
    'Seconds without a request after which a function is paused, unless its deployment specifies it.',
  ),
  functionTimeoutMs: key(
    'SOULBOX_FUNCTION_TIMEOUT_MS',
    wholeNumber(100, 900_000),
    30_000,
    'Milliseconds within which a function must start its response, unless its deployment specifies it; then the request returns 504.',
  ),
  functionMemoryMb: key(
    'SOULBOX_FUNCTION_MEMORY_MB',
    wholeNumber(16, 65_536),
    128,
    'Megabytes that the code of a function may use in addition to its engine, unless its deployment specifies it.',
  ),
  functionMemoryMaxMb: key(
    'SOULBOX_FUNCTION_MEMORY_MAX_MB',
    wholeNumber(16, 65_536),
    256,
    'Maximum that a deployment may request. The template `edge` has 512 for code, engine and supervisor together.',
  ),
  functionBodyMaxBytes: key(
    'SOULBOX_FUNCTION_BODY_MAX_BYTES',
    wholeNumber(0, 1_073_741_824),
    10_485_760,
    'Maximum bytes of a request body, and the maximum that a deployment may request; more return 413.',
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
