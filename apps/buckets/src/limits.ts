const gib = 1024 ** 3;

/** How long address and credentials of a bucket count. Milliseconds. */
export const accessMs = 10_000;
/** Before control is asked again, while it is away. Milliseconds. */
export const accessAgainMs = 5000;
/** How long a store that was replaced may be used by calls that have begun. Milliseconds. */
export const replacedStoreMs = 600_000;
/** A call that neither sends nor takes a byte for this time is ended. A check waits for its store. Milliseconds. */
export const silenceMs = 300_000;
/** After a start, mounts of the process before that nobody has given to this one in this time are gone. Milliseconds. */
export const takeoverMs = 600_000;
/** Bytes of files that are being changed, of one team. The disk has a limit of its own. */
export const teamScratchBytes = 64 * gib;
/** Bytes that all mounts hold in memory of what they read in advance. */
export const readBudgetBytes = 128 * 1024 * 1024;
/** A loss of what was written is logged so often at most, for each mount. Milliseconds. */
export const lossLogMs = 60_000;
/** Checks of buckets that this process makes at once. */
export const checksMax = 32;
