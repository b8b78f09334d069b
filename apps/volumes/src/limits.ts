/** Bytes of a file that are written or read at once. */
export const pieceBytes = 1024 * 1024;
/** A call that neither sends nor takes a byte for this time is ended. Milliseconds. */
export const silenceMs = 300_000;
/** Entries of one list, which is in memory as a whole. */
export const entriesMax = 50_000;
/** Ids of removed volumes that are remembered. */
export const removedMax = 10_000;
/** Volumes that stay open without a call: each has a few descriptors and a page cache. */
export const idleVolumesMax = 32;
/** Files, folders and names of a volume that is mounted: programs in a sandbox can make them without a call. */
export const mountedInodesMax = 1_000_000;
/** How often the quotas of mounted volumes are set to what their team has left. Milliseconds. */
export const quotaEveryMs = 1000;
/** After a start, mounts of the process before that nobody has given to this one in this time are gone. Milliseconds. */
export const takeoverMs = 600_000;
