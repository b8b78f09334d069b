/** Bytes of a request body. The largest real bodies contain environment variables. */
export const bodyBytesMax = 1024 * 1024;
/**
 * Characters of one path segment. The longest real one is a percent-encoded template name (128, encoded three times).
 */
export const pathSegmentMax = 512;
/**
 * A row this long past its deadline counts as ended, even without a report of the runner. The runner ends a sandbox
 * within 1 s.
 */
export const endGraceMs = 1000;

/** How long to wait for the runner's report of an end before a sandbox that it does not know counts as lost. */
export const lostAfterMs = 250;

/** Limits of a sandbox's metadata, which are kept in the records and are part of every list response. */
export const metadataLimits = { entries: 64, keyBytes: 256, valueBytes: 4096 } as const;
/** Linux allows at most 128 KiB for one variable, including the name and `=` (MAX_ARG_STRLEN). */
export const envLimits = { entries: 512, keyBytes: 256, valueBytes: 128 * 1024 - 512 } as const;
/** Volumes and buckets in one sandbox. */
export const volumeMountsMax = 10;
/** Rules for one direction of a sandbox's network. */
export const networkRulesMax = 1000;

/** Seconds of an idle timeout: one year, the same as the longest life. */
export const idleTimeoutMax = 365 * 24 * 3600;
/** Limits for the sandboxes of a built template (E2B allows up to 32 CPUs). MiB. */
export const cpuMax = 32;
export const memoryMbMin = 128;
export const memoryMbMax = 1_048_576;
export const diskMbMax = 16_777_216;
/** Tags in one request. */
export const tagsMax = 32;
/** Builds of a team that were requested and not started. */
export const waitingBuildsMax = 100;
/**
 * How long a build may wait for its start, and how long an upload link is valid. The official client uploads for an
 * hour at most.
 */
export const waitingBuildMs = 24 * 3600 * 1000;
export const uploadLinkSeconds = 3600;
/** An upload is aborted when no byte arrives for the first time, or when it takes longer than the second in total. */
export const uploadIdleMs = 30_000;
export const uploadMs = 3600 * 1000;
/** How long an import may take until its manifest is there: until then nobody has checked whether it is trusted. */
export const importHeaderMs = 60_000;
/** How often an import tells the runner that its file still arrives. The runner removes it after 60 s without a call. */
export const importKeepaliveMs = 20_000;
/** The last step of an import flushes all that it wrote. Clients and gateways give up after 600 s without an answer. */
export const importFinishMs = 540_000;
/** An export is cut off when its reader takes nothing for this time: until its end, the runner keeps what it reads. */
export const exportReaderIdleMs = 60_000;
/** A read of a volume's file is cut off when its reader takes nothing for this time. */
export const contentReaderIdleMs = 60_000;
/** An export is cut off after this time, however its reader goes on. */
export const exportMs = 24 * 3600 * 1000;
/** Followed logs, metrics and events are asked for anew so often. A blank line follows silence of the second time. */
export const followEveryMs = 1000;
export const followKeepaliveMs = 15_000;
/** A followed response is cut off when its reader takes nothing for this time. Its client can continue. */
export const followReaderIdleMs = 60_000;
/** Time for which a follower does not notice that the runner is away, such as during its restart. */
export const followPatienceMs = 30_000;
/** Limits of one build: its steps, and the arguments of each step. Scripts should be files that are copied. */
export const buildLimits = { steps: 500, stepArgs: 512, textChars: 128 * 1024 - 512 } as const;
/** Limits of a stored build log. The runner has its own limits before these. */
export const buildLogEntriesMax = 50_000;
export const buildLogBytesMax = 24 * 1024 * 1024;
export const buildLogMessageMax = 8192;
/** Copies of one fork (E2B's limit). */
export const forksMax = 100;
/**
 * Characters in the rows of one response. A page ends at this limit and gives the start of the next page. With the
 * largest metadata that is after four sandboxes.
 */
export const pageCharsMax = 1024 * 1024;
/** Webhooks per team. */
export const webhooksMax = 20;
/** How long an idempotency key is kept. */
export const idempotencyKeptMs = 24 * 3600 * 1000;
/** Secrets of a team, and versions of a secret that are kept. */
export const secretsMax = 1000;
export const secretVersionsKept = 10;

/**
 * Time limits of calls to the runner, in milliseconds. A cold create boots a sandbox. A pause, resume, snapshot or fork
 * moves its whole memory, up to gigabytes on a slow disk. A kill or a change of the deadline waits until such a step
 * has ended. All other calls are answered from memory.
 */
export const runnerCallMs = 10_000;
export const runnerCreateMs = 60_000;
export const runnerStateMs = 300_000;

/**
 * Limits of one run of a program. Larger code must be uploaded as a file. A complete response is held in memory, and
 * must arrive before the gateway closes a silent connection (600 s). A streamed response is only passed on.
 */
export const runLimits = {
  codeBytes: 512 * 1024,
  stdinBytes: 256 * 1024,
  args: 1000,
  /** Linux's limit of one argument (MAX_ARG_STRLEN), without the NUL. */
  argBytes: 128 * 1024 - 1,
  /** Linux's limit of a path (PATH_MAX), without the NUL. */
  pathBytes: 4095,
  permissionEntries: 100,
  /** With less memory no program starts. */
  memoryMbMin: 16,
  memoryMbMax: 1_048_576,
  answeredSeconds: 540,
  streamedSeconds: 86_400,
  answeredOutputBytes: 1024 * 1024,
  streamedOutputBytes: 1024 * 1024 * 1024,
  keepaliveMs: 30_000,
} as const;
/** How long a create waits while its template is made. The official clients give up after 60 s. */
export const templateMakeMs = 40_000;
