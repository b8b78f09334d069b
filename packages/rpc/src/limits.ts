import type { Settings } from 'node:http2';

/** Of one message: a list of a host full of sandboxes, whose metadata may be large. */
export const messageMaxBytes = 64 * 1024 * 1024;

/** What one connection may hold in memory, messages under way included. MiB; 10 would end it when many calls answer at once. */
export const sessionMemoryMib = 256;

/** Each client of the API may have a call under way, and each build a stream. */
export const sessionSettings: Settings = { maxConcurrentStreams: 10_000, initialWindowSize: 1024 * 1024 };
