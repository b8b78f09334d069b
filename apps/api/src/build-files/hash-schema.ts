import { z } from 'zod';

/** The client's digest of a step's files. */
export const fileHashSchema = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hex digits');
