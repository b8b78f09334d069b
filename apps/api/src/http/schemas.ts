import { z } from 'zod';

/** The one form of every error answer. Official clients decide on `code` inside the body, not on the status line. */
const errorSchema = z
  .object({
    code: z.int().describe('The HTTP status again.'),
    message: z.string(),
    error_code: z
      .string()
      .optional()
      .describe("E2B's finer error code where it defines one; `disk_full` when the server's disk is full."),
  })
  .meta({ id: 'Error', description: 'An error.' });

export type ErrorStatus = 400 | 401 | 403 | 404 | 405 | 408 | 409 | 413 | 415 | 429 | 500 | 501 | 503 | 504 | 507;

/** What any route may answer, whatever it does. */
const always = [401, 408, 429, 500, 507] as const satisfies ErrorStatus[];

type ErrorResponses = Record<ErrorStatus, typeof errorSchema>;

/** The error part of a route's `response`: the statuses named and those that any route may give. */
export function errors(...statuses: readonly ErrorStatus[]): ErrorResponses {
  const entries = [...new Set<ErrorStatus>([...always, ...statuses])].sort().map((status) => [status, errorSchema]);
  // Typed as if all were there: handlers throw, they never send these.
  return Object.fromEntries(entries) as ErrorResponses;
}

/** A date and time on the wire, RFC 3339 in UTC. */
export const timeSchema = z.iso.datetime();

export function timeToWire(ms: number): string {
  return new Date(ms).toISOString();
}

/** A time in a query. */
export const unixMs = z.coerce.number().int().min(0).max(253_402_300_799_000);

export const sandboxParams = z.object({ sandboxID: z.string().describe('`i` and 20 of `[a-z0-9]`') });

/** Query of lists that are read by page. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(100).default(100),
  nextToken: z.string().optional().describe('`X-Next-Token` of the previous page.'),
};

/** For answers without a body. */
export const noContent = z.null().describe('No content.');
