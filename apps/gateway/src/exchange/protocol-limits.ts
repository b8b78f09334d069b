/** The maximum size of the head of a message, both from clients and from services. */
export const maxHeaderBytes = 32 * 1024;
/**
 * Bytes that a peer may send on one stream before it must wait for us. The default of 64 KiB would limit uploads by the
 * round-trip time.
 */
export const streamWindowBytes = 1024 * 1024;
/**
 * The same limit for all streams of a connection together. It is also the amount that one connection can make us
 * buffer.
 */
export const connectionWindowBytes = 8 * 1024 * 1024;
/** MiB of buffers and headers per session. Above that Node refuses further streams. */
export const sessionMemoryMib = 64;
