import { flag, key, wholeNumber } from '@soulbox/base';
import type { ConfigOf } from '@soulbox/base';
import { z } from 'zod';

/** The keys of the control plane; docs/config.md is generated from them. */
export const apiConfigSchema = {
  maxTimeoutHours: key(
    'SOULBOX_MAX_TIMEOUT_HOURS',
    wholeNumber(1, 24 * 365),
    24,
    'Longest life of a sandbox in hours, counted from its start. A longer timeout is refused.',
  ),
  teamSandboxLimit: key(
    'SOULBOX_TEAM_SANDBOX_LIMIT',
    wholeNumber(1, 100_000),
    1000,
    'Sandboxes a team may have at the same time. One more answers 429.',
  ),
  sandboxDomain: key(
    'SOULBOX_SANDBOX_DOMAIN',
    z.string().regex(/^[a-z0-9.-]+(:\d{1,5})?$/, 'must be a domain, with a port if needed'),
    '',
    "Domain that clients are told to reach sandboxes under. Empty: the client's own `E2B_DOMAIN`.",
  ),
  endedRetentionHours: key(
    'SOULBOX_ENDED_RETENTION_HOURS',
    wholeNumber(1, 24 * 365),
    24 * 7,
    'Hours for which the records of ended sandboxes are kept.',
  ),
  requestTimeoutSeconds: key(
    'SOULBOX_API_REQUEST_TIMEOUT_SECONDS',
    wholeNumber(1, 3600),
    30,
    'Seconds within which a request to the API must have arrived completely.',
  ),
  openApi: key(
    'SOULBOX_OPENAPI',
    flag,
    true,
    'Whether `GET /openapi.json` is served. It is the same for everybody and needs no key.',
  ),
} as const;

export type ApiConfig = ConfigOf<typeof apiConfigSchema>;
