/** Upper bound for the head of a message, of a client as of a service. */
export const maxHeaderBytes = 32 * 1024;
/** Bytes a peer may send on one stream before it must wait for us; 64 KiB, the default, caps uploads by the round trip. */
export const streamWindowBytes = 1024 * 1024;
/** The same for all streams of a connection; also what a connection may make us buffer. */
export const connectionWindowBytes = 8 * 1024 * 1024;
/** MiB of buffers and headers per session before Node refuses further streams. */
export const sessionMemoryMib = 64;
