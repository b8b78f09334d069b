import { flag, key, wholeNumber } from '@soulbox/base/config';
import type { ConfigOf } from '@soulbox/base';
import { jurisdictions } from '@soulbox/audit';
import { z } from 'zod';
import { isPrivateTarget } from './private-target.ts';
import { signInConfigSchema } from './sign-in-config.ts';
import { witnessesMax, witnessList } from './witness-list.ts';

export { findSignInFaults } from './sign-in-config.ts';

/** Host names and networks. Each entry is one of the two; the check of a target decides which. */
const privateTargets: z.ZodType<readonly string[]> = z
  .string()
  .transform((text) => text.split(',').map((entry) => entry.trim().toLowerCase()))
  .pipe(z.array(z.string().refine(isPrivateTarget, 'must be host names, addresses or CIDR networks')).max(100));

/** The settings of the control plane; docs/config.md is generated from them. */
export const apiConfigSchema = {
  maxTimeoutHours: key(
    'SOULBOX_MAX_TIMEOUT_HOURS',
    wholeNumber(1, 24 * 365),
    24,
    'Maximum lifetime of a sandbox in hours, counted from its start or last resume. A longer timeout is rejected.',
  ),
  teamSandboxLimit: key(
    'SOULBOX_TEAM_SANDBOX_LIMIT',
    wholeNumber(1, 100_000),
    1000,
    'Sandboxes a team may have running at the same time; paused ones do not count. One more returns 429.',
  ),
  teamSnapshotLimit: key(
    'SOULBOX_TEAM_SNAPSHOT_LIMIT',
    wholeNumber(0, 100_000),
    1000,
    'Snapshots a team may have. One more returns 429.',
  ),
  teamTemplateLimit: key(
    'SOULBOX_TEAM_TEMPLATE_LIMIT',
    wholeNumber(0, 100_000),
    1000,
    'Templates a team may build. One more returns 429.',
  ),
  teamBuildLimit: key(
    'SOULBOX_TEAM_BUILD_LIMIT',
    wholeNumber(1, 1000),
    10,
    'Concurrent template builds of a team. One more returns 429.',
  ),
  buildFileMaxMb: key(
    'SOULBOX_BUILD_FILE_MAX_MB',
    wholeNumber(1, 1024 * 1024),
    2048,
    'MiB of one archive that is uploaded for a build.',
  ),
  teamBuildFilesMb: key(
    'SOULBOX_TEAM_BUILD_FILES_MB',
    wholeNumber(1, 1024 * 1024 * 1024),
    10 * 1024,
    'MiB of all archives that a team has uploaded for its builds. An upload beyond that returns 429.',
  ),
  teamDiskMb: key(
    'SOULBOX_TEAM_DISK_MB',
    wholeNumber(1, 1024 * 1024 * 1024),
    1024 * 1024,
    'MiB that the disks of all sandboxes of a team (including paused ones) and its snapshots may use on the host together. A create, fork or snapshot beyond that returns 429.',
  ),
  teamPausedMemoryMb: key(
    'SOULBOX_TEAM_PAUSED_MEMORY_MB',
    wholeNumber(1, 1024 * 1024 * 1024),
    256 * 1024,
    'MiB of disk that the saved memory of the paused sandboxes of a team may use. A pause beyond that returns 429; a pause at a deadline still happens.',
  ),
  teamKvMb: key(
    'SOULBOX_TEAM_KV_MB',
    wholeNumber(1, 1024 * 1024 * 1024),
    10 * 1024,
    'MiB of all values of all key-value namespaces of a team. A value beyond that returns 429.',
  ),
  teamEventLimit: key(
    'SOULBOX_TEAM_EVENT_LIMIT',
    wholeNumber(1000, 1_000_000_000),
    1_000_000,
    'Lifecycle events that are kept for a team. Beyond that, the oldest are removed early.',
  ),
  teamConnectionLimit: key(
    'SOULBOX_TEAM_CONNECTION_LIMIT',
    wholeNumber(1000, 1_000_000_000),
    100_000,
    'Entries in the log of connections that are kept for a team. Beyond that, the oldest are removed early.',
  ),
  connectionRetentionHours: key(
    'SOULBOX_CONNECTION_RETENTION_HOURS',
    wholeNumber(1, 24 * 365),
    24 * 7,
    'Hours for which the connections of sandboxes can be read.',
  ),
  teamCreateRate: key(
    'SOULBOX_TEAM_CREATE_RATE',
    wholeNumber(0, 10_000),
    50,
    'Sandboxes that a team may create per second, as an average. More return 429. 0: no limit. This and the other limits of teams can be changed for each team (docs/limits.md).',
  ),
  teamCreateBurst: key(
    'SOULBOX_TEAM_CREATE_BURST',
    wholeNumber(1, 100_000),
    500,
    'Sandboxes that a team may create at once, after a pause.',
  ),
  teamRequestRate: key(
    'SOULBOX_TEAM_REQUEST_RATE',
    wholeNumber(0, 1_000_000),
    1000,
    'Requests to the API that a team may send per second, with all its keys, as an average. More return 429. 0: no limit.',
  ),
  teamRequestBurst: key(
    'SOULBOX_TEAM_REQUEST_BURST',
    wholeNumber(1, 10_000_000),
    10_000,
    'Requests to the API that a team may send at once, after a pause.',
  ),
  teamMemoryMb: key(
    'SOULBOX_TEAM_MEMORY_MB',
    wholeNumber(0, 1024 * 1024 * 1024),
    0,
    'MiB of memory that the running sandboxes of a team may have together. A create, fork or resume beyond that returns 429. 0: no limit.',
  ),
  teamStorageMb: key(
    'SOULBOX_TEAM_STORAGE_MB',
    wholeNumber(0, 1024 * 1024 * 1024),
    0,
    'MiB that snapshots, archives for builds and key-value data of a team may use together. A snapshot or an upload beyond that returns 429. 0: no limit.',
  ),
  teamVolumeLimit: key(
    'SOULBOX_TEAM_VOLUME_LIMIT',
    wholeNumber(0, 10_000),
    100,
    'Volumes a team may have. One more returns 429.',
  ),
  teamVolumeMb: key(
    'SOULBOX_TEAM_VOLUME_MB',
    wholeNumber(0, 1024 * 1024 * 1024),
    100 * 1024,
    'MiB that the contents of all volumes of a team may have together. A write beyond that returns 429.',
  ),
  teamBucketLimit: key(
    'SOULBOX_TEAM_BUCKET_LIMIT',
    wholeNumber(0, 10_000),
    100,
    'Buckets of object stores a team may have. One more returns 429.',
  ),
  teamCpuSecondsPerDay: key(
    'SOULBOX_TEAM_CPU_SECONDS_PER_DAY',
    wholeNumber(0, 1_000_000_000),
    0,
    'Seconds of CPU time that all sandboxes of a team may use in a day (UTC). Then they are paused, and creates return 429 until the next day. 0: no limit.',
  ),
  teamEgressMbPerDay: key(
    'SOULBOX_TEAM_EGRESS_MB_PER_DAY',
    wholeNumber(0, 1024 * 1024 * 1024),
    0,
    'The same for the MiB that all sandboxes of a team send to the outside.',
  ),
  budgetAction: key(
    'SOULBOX_BUDGET_ACTION',
    z.enum(['pause', 'kill']),
    'pause',
    'What happens to running sandboxes whose team or API key has used up a budget of CPU time or sent bytes.',
  ),
  budgetIntervalMs: key(
    'SOULBOX_BUDGET_INTERVAL_MS',
    wholeNumber(100, 60_000),
    2000,
    'Milliseconds between two counts of what sandboxes use. A budget can be exceeded by what is used in this time and during the pauses.',
  ),
  teamIdempotencyLimit: key(
    'SOULBOX_TEAM_IDEMPOTENCY_LIMIT',
    wholeNumber(1, 10_000_000),
    100_000,
    'Idempotency keys that are kept for a team, each for 24 hours. One more returns 429.',
  ),
  buildFileRetentionHours: key(
    'SOULBOX_BUILD_FILE_RETENTION_HOURS',
    wholeNumber(1, 24 * 365),
    24 * 7,
    'Hours for which an uploaded archive that no build uses is kept.',
  ),
  buildRetentionHours: key(
    'SOULBOX_BUILD_RETENTION_HOURS',
    wholeNumber(1, 24 * 365),
    24 * 30,
    'Hours for which the record and the log of a build without a tag are kept.',
  ),
  apiUrl: key(
    'SOULBOX_API_URL',
    z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).transform((url) => url.replace(/\/+$/, '')),
    '',
    'URL at which clients reach the API, for links in responses. Empty: taken from the `Host` header of each request, which is wrong behind a proxy that replaces it.',
  ),
  sandboxDomain: key(
    'SOULBOX_SANDBOX_DOMAIN',
    z.string().regex(/^[a-z0-9.-]+(:\d{1,5})?$/, 'must be a domain, with a port if needed'),
    '',
    'Domain of sandboxes in responses of the API. Empty: clients use their `E2B_DOMAIN`.',
  ),
  endedRetentionHours: key(
    'SOULBOX_ENDED_RETENTION_HOURS',
    wholeNumber(1, 24 * 365),
    24 * 7,
    'Hours for which the records of ended sandboxes are kept.',
  ),
  eventRetentionHours: key(
    'SOULBOX_EVENT_RETENTION_HOURS',
    wholeNumber(1, 24 * 365),
    24 * 7,
    'Hours for which lifecycle events can be read.',
  ),
  bucketAllowPrivate: key(
    'SOULBOX_BUCKET_ALLOW_PRIVATE',
    privateTargets,
    [],
    'Private or local host names, addresses and CIDR networks, separated by commas, at which buckets of teams may be. Empty: only at public addresses.',
  ),
  webhookAllowPrivate: key(
    'SOULBOX_WEBHOOK_ALLOW_PRIVATE',
    privateTargets,
    [],
    'Private or local host names, addresses and CIDR networks, separated by commas, that webhooks may reach. Empty: webhooks reach public addresses only.',
  ),
  signedUrlMaxSeconds: key(
    'SOULBOX_SIGNED_URL_MAX_SECONDS',
    wholeNumber(1, 365 * 24 * 3600),
    7 * 24 * 3600,
    'Seconds for which a signed URL can be valid at most.',
  ),
  signedUrlSkewSeconds: key(
    'SOULBOX_SIGNED_URL_SKEW_SECONDS',
    wholeNumber(0, 300),
    5,
    'Seconds after its end for which a signed URL is still accepted, for clocks that differ.',
  ),
  teamNonceLimit: key(
    'SOULBOX_TEAM_NONCE_LIMIT',
    wholeNumber(1, 10_000_000),
    100_000,
    'Used one-time URLs of a team that have not expired. The use of one more returns 429.',
  ),
  secretsNeedHosts: key(
    'SOULBOX_SECRETS_NEED_HOSTS',
    flag,
    false,
    'Whether a secret of a team is sent only to the hosts that it names. A secret without hosts, such as those of the official clients, is then sent to none until `soulbox secret set` gives it hosts. With false, it may go to the host of any rule.',
  ),
  keyRequestRate: key(
    'SOULBOX_API_KEY_RATE',
    wholeNumber(0, 10_000_000),
    5000,
    'Requests to the API that one key may send within ten seconds; more return 429. 0: no limit.',
  ),
  addressRequestRate: key(
    'SOULBOX_API_ADDRESS_RATE',
    wholeNumber(0, 10_000_000),
    10_000,
    'The same for one client address or one IPv6 /64 network. Behind a proxy, all clients have its address, unless `SOULBOX_TRUSTED_PROXIES` names it.',
  ),
  requestTimeoutSeconds: key(
    'SOULBOX_API_REQUEST_TIMEOUT_SECONDS',
    wholeNumber(1, 3600),
    30,
    'Seconds within which a complete request to the API must arrive.',
  ),
  auditLogMb: key(
    'SOULBOX_AUDIT_LOG_MB',
    wholeNumber(1, 1024 * 1024),
    1024,
    'MiB of the audit records of a team that were not pruned. Beyond that, actions that it could not record return 503; kills, pauses and reading still work.',
  ),
  auditJurisdiction: key(
    'SOULBOX_AUDIT_JURISDICTION',
    z.enum(jurisdictions),
    'none',
    'Decides how long audit records are kept at least (docs/audit.md).',
  ),
  auditRetentionDays: key(
    'SOULBOX_AUDIT_RETENTION_DAYS',
    wholeNumber(0, 36_500),
    0,
    'Days for which audit records are kept at least. It can only lengthen the time of the jurisdiction.',
  ),
  auditWitnesses: key(
    'SOULBOX_AUDIT_WITNESSES',
    witnessList,
    [],
    'Witnesses that cosign the audit logs, separated by commas: for each its URL, a space, and its verifier key (docs/audit.md). Empty: none.',
  ),
  auditWitnessQuorum: key(
    'SOULBOX_AUDIT_WITNESS_QUORUM',
    wholeNumber(1, witnessesMax),
    1,
    'How many witnesses must have signed a checkpoint for it to count as witnessed.',
  ),
  auditWitnessMaxMinutes: key(
    'SOULBOX_AUDIT_WITNESS_MAX_MINUTES',
    wholeNumber(0, 365 * 24 * 60),
    0,
    'Minutes for which records may be without that number of witnesses. After that, actions of the team return 503 until the witnesses have signed; kills, pauses and reading still work. 0: witnesses never refuse anything.',
  ),
  ...signInConfigSchema,
  openApi: key('SOULBOX_OPENAPI', flag, true, 'Whether `GET /openapi.json` is served. It is public and needs no key.'),
} as const;

export type ApiConfig = ConfigOf<typeof apiConfigSchema>;
