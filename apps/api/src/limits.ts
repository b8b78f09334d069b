/** Bytes of a request body. The largest real one carries environment variables. */
export const bodyBytesMax = 1024 * 1024;
/** Characters of one path segment; the longest real one is a percent-encoded template name (128, encoded thrice). */
export const pathSegmentMax = 512;
/** A row this long past its deadline counts as ended, whether or not the runner has said so. The runner ends within 1 s. */
export const endGraceMs = 1000;

/** How long the runner's word about an end is waited for before a sandbox that it does not know counts as lost. */
export const lostAfterMs = 250;

/** What may be attached to a sandbox. They are kept in the records and go to every list answer. */
export const metadataLimits = { entries: 64, keyBytes: 256, valueBytes: 4096 } as const;
/** Linux gives one variable at most 128 KiB, name and `=` included (MAX_ARG_STRLEN). */
export const envLimits = { entries: 512, keyBytes: 256, valueBytes: 128 * 1024 - 512 } as const;
/** Rules of one direction of a sandbox's network. */
export const networkRulesMax = 256;

/** Seconds of an idle timeout: a year, as for the longest life. */
export const idleTimeoutMax = 365 * 24 * 3600;
/** Of the sandboxes of a template that is built (E2B takes CPUs up to 32). MiB. */
export const cpuMax = 32;
export const memoryMbMin = 128;
export const memoryMbMax = 1_048_576;
export const diskMbMax = 16_777_216;
/** Tags of one request. */
export const tagsMax = 32;
/** Builds that a team has asked for and not started. */
export const waitingBuildsMax = 100;
/** How long a build may wait to be started, and a link for an upload be good for. The official client uploads for an hour at most. */
export const waitingBuildMs = 24 * 3600 * 1000;
export const uploadLinkMs = 3600 * 1000;
/** An upload of which no byte comes for so long is given up, and one that takes longer than this in all. */
export const uploadIdleMs = 30_000;
export const uploadMs = 3600 * 1000;
/** Of one build: each step, and what its arguments may be. A script belongs into a file that is copied. */
export const buildLimits = { steps: 500, stepArgs: 512, textChars: 128 * 1024 - 512 } as const;
/** What is kept of a build's log; the runner bounds it before us. */
export const buildLogEntriesMax = 50_000;
export const buildLogBytesMax = 24 * 1024 * 1024;
export const buildLogMessageMax = 8192;
/** Copies of one fork (E2B's limit). */
export const forksMax = 100;
/**
 * Characters of what the rows of one answer hold. A page ends there, and says where the next begins; with the largest metadata that is
 * after four sandboxes.
 */
export const pageCharsMax = 1024 * 1024;
/** Webhooks of a team. */
export const webhooksMax = 20;

/**
 * Waits for the runner, in milliseconds. A cold create boots a sandbox; a pause, resume, snapshot or fork moves its whole
 * memory, up to gigabytes on a slow disk, and a kill or another deadline waits until such a step has come to its end; everything else
 * answers from memory.
 */
export const runnerCallMs = 10_000;
export const runnerCreateMs = 60_000;
export const runnerStateMs = 300_000;

/**
 * One run of a program. What is larger is uploaded as a file. An answer as a whole is held in memory, and must come before the
 * gateway takes a silent connection for dead (600 s); a streamed one is only passed on.
 */
export const runLimits = {
  codeBytes: 512 * 1024,
  stdinBytes: 256 * 1024,
  args: 1000,
  /** Linux's for one argument (MAX_ARG_STRLEN), its NUL left out. */
  argBytes: 128 * 1024 - 1,
  /** Linux's (PATH_MAX), its NUL left out. */
  pathBytes: 4095,
  permissionEntries: 100,
  /** Less is no program but an error message. */
  memoryMbMin: 16,
  memoryMbMax: 1_048_576,
  answeredSeconds: 540,
  streamedSeconds: 86_400,
  answeredOutputBytes: 1024 * 1024,
  streamedOutputBytes: 1024 * 1024 * 1024,
  keepaliveMs: 30_000,
} as const;
/** How long a create waits for a template that is made for it: the official clients give up after 60 s. */
export const templateMakeMs = 40_000;
