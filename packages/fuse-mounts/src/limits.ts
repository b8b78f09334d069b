/** Mounts that one process serves. Each has a device, and memory for the requests that it handles. */
export const mountsMax = 256;
/** Of them, those of one team. */
export const teamMountsMax = 128;
/** Buffers of 1 MiB with data of writes that all mounts hold at once, besides one for each mount. */
export const writeBuffersMax = 128;
/** The body of an order to serve a mount. */
export const orderBytesMax = 64 * 1024;
