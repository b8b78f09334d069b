import type { Settings } from 'node:http2';

/** Maximum size of one message: the list of all sandboxes of a full host, whose metadata may be large. */
export const messageMaxBytes = 64 * 1024 * 1024;

/**
 * Memory that one connection may use, including messages in flight. MiB. The default of 10 would end it when many calls
 * answer at once.
 */
export const sessionMemoryMib = 256;

/** Each client of the API may have a call in progress, and each build a stream. */
export const sessionSettings: Settings = { maxConcurrentStreams: 10_000, initialWindowSize: 1024 * 1024 };
