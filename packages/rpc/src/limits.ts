/** Maximum size of one message: the list of all sandboxes of a full host, whose metadata may be large. */
export const messageMaxBytes = 64 * 1024 * 1024;

/**
 * Maximum size of everything that one door holds of frames that have not arrived completely. A connection whose frame
 * goes beyond it is closed.
 */
export const partialMaxBytes = 256 * 1024 * 1024;

/** Connections to one door. Each stream has a connection of its own. Further ones are closed. */
export const maxConnections = 4096;

/** Each client of the API may have a call in progress. A call beyond this number fails with `resource_exhausted`. */
export const maxCallsPerConnection = 10_000;

/** Answers that a peer has not read. A connection with more is closed. */
export const unreadMaxBytes = 256 * 1024 * 1024;

/** Messages of a stream that its reader has not taken yet. Beyond it, the socket is not read. */
export const streamAhead = 16;

/** The header fields of one call. Fields beyond it are not sent, and count as absent. */
export const fieldsMaxBytes = 4096;
