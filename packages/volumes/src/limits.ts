const kib = 1024;
const mib = 1024 * kib;

/** The data of a file is divided into blocks of this size. The last one is as long as its data. */
export const blockBytes = 4 * mib;
/** A block with no more data than this is a value in the metadata. A longer one is a file of the block store. */
export const inlineBytes = 16 * kib;
/** Sizes and offsets stay far below the safe integers of JavaScript. A longer file is refused with EFBIG. */
export const fileBytesMax = 2 ** 52;
/** In bytes, like everywhere on Linux. */
export const nameBytesMax = 255;
export const targetBytesMax = 4095;
/** As on ext4. */
export const linksMax = 65_000;
export const xattrNameBytesMax = 255;
export const xattrValueBytesMax = 64 * kib;
/** Names and values of all extended attributes of one file. More is refused with ENOSPC, as by ext4. */
export const xattrBytesMax = 64 * kib;
/** More is refused with ENOLCK. They are kept in memory, and each call looks at all of its file. */
export const locksMax = 4096;
/** Requests that wait for a lock, each of which holds memory. More is refused with ENOLCK. */
export const lockWaitersMax = 4096;
/** Folders within folders, which are followed to the root before a rename. A deeper one is refused with ELOOP. */
export const depthMax = 10_000;
