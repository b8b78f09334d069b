const kib = 1024;
const mib = 1024 * kib;

/** Open files of one mount. */
export const openFilesMax = 1000;
/** Names that the kernel knows of one mount. It forgets some when memory is short. */
export const nodesMax = 1_000_000;
/** Of a name, as of every file system of Linux. */
export const nameBytesMax = 255;
/** Objects of which one mount remembers size and version, and lists of folders that it keeps. */
export const factsMax = 20_000;
export const listsMax = 32;
/** Folders that a mount has emptied, and shows although the store has nothing of them any more. */
export const emptiedMax = 10_000;
/** How long names, sizes and lists of a bucket are remembered. Milliseconds. */
export const factsMs = 2000;
/**
 * How long the kernel keeps that a name is absent. Not 0: it would drop the name of a file that is being created as soon
 * as another program asks for it (fs/fuse, Linux 6.18), and /proc would call the file deleted as long as it is open, so
 * CRIU could not save it. Milliseconds.
 */
export const absentMs = 1000;
/** Pages of a list without any entry that are skipped in one call. */
export const emptyPagesMax = 100;
/** The first read of a file, and the most that is read in advance. Bytes. */
export const firstReadBytes = 256 * kib;
export const readAheadBytes = 8 * mib;
/** Parts of a file that are fetched at once in advance. */
export const readAheadParts = 4;
/** So far before the last read, data are kept: the kernel asks for parts out of order. */
export const readBehindBytes = 2 * mib;
/** Bytes of a scratch file that are read at once. */
export const pieceBytes = mib;
/** The most that one file can have while it is changed. A larger one can be read. */
export const changedFileBytesMax = 64 * 1024 * mib;
/** Free space on the disk that scratch files leave to others. */
export const freeBytesKept = 1024 * mib;
/** How long a mount that has ended waits for the store to take what was written. Milliseconds. */
export const lastUploadsMs = 60_000;
