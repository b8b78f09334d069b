import { z } from 'zod';

/** The common form of all error responses. Official clients use `code` in the body, not the status line. */
const errorSchema = z
  .object({
    code: z.int().describe('The same as the HTTP status.'),
    message: z.string(),
    error_code: z
      .string()
      .optional()
      .describe("E2B's finer error code where it defines one; `disk_full` when the server's disk is full."),
  })
  .meta({ id: 'Error', description: 'An error.' });

export type ErrorStatus =
  | 400
  | 401
  | 403
  | 404
  | 405
  | 408
  | 409
  | 413
  | 415
  | 416
  | 422
  | 429
  | 500
  | 501
  | 503
  | 504
  | 507;

/** The form of E2B's content API of volumes. */
const namedErrorSchema = errorSchema
  .extend({ code: z.string().describe('The reason, such as `file_not_found` (docs/errors.md).') })
  .meta({ id: 'NamedError', description: 'An error of the contents of a volume.' });

/** Errors that any route may return. */
const always = [401, 408, 429, 500, 507] as const satisfies ErrorStatus[];

type ErrorResponses = Record<ErrorStatus, typeof errorSchema>;
type NamedErrorResponses = Record<ErrorStatus, typeof namedErrorSchema>;

/** The errors in a route's `response`: the given statuses and those that any route may return. */
export function errors(...statuses: readonly ErrorStatus[]): ErrorResponses {
  // The type claims all statuses. This is safe because handlers throw and never send these.
  return responsesOf(statuses, errorSchema) as ErrorResponses;
}

/** The same for routes with `hasNamedErrors`. */
export function namedErrors(...statuses: readonly ErrorStatus[]): NamedErrorResponses {
  return responsesOf(statuses, namedErrorSchema) as NamedErrorResponses;
}

function responsesOf<T>(statuses: readonly ErrorStatus[], schema: T): Record<string, T> {
  const all = [...new Set<ErrorStatus>([...always, ...statuses])].sort();
  return Object.fromEntries(all.map((status) => [status, schema]));
}

/** A date and time on the wire, RFC 3339 in UTC. */
export const timeSchema = z.iso.datetime();

export function timeToWire(ms: number): string {
  return new Date(ms).toISOString();
}

/** A time in a query. */
export const unixMs = z.coerce.number().int().min(0).max(253_402_300_799_000);

export const sandboxParams = z.object({ sandboxID: z.string().describe('`i` and 20 characters of `[a-z0-9]`') });

/** Query parameters of paged lists. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(100).default(100),
  nextToken: z.string().optional().describe('`X-Next-Token` of the previous page.'),
};

/** For responses without a body. */
export const noContent = z.null().describe('No content.');

/** Query of the routes that make or change sandboxes. Any other route accepts it too. */
export const timingsQuery = z.object({
  timings: z
    .enum(['0', '1'])
    .optional()
    .describe('`1`: the header `Server-Timing` of the response says how long each phase took. SoulBox extension.'),
});
