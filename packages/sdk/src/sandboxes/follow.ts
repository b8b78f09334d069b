import { headers as headerNames } from '@soulbox/contract/headers';
import type { Schemas } from '../api.ts';
import { callApi, followApi, segment } from '../api.ts';
import type { Connection, ConnectionOptions } from '../config.ts';
import { unixSeconds } from './metrics.ts';
import type { TimeRange } from './metrics.ts';

/** Whether a list goes on with what is new. */
export interface FollowOptions {
  /**
   * Go on with what is new, which the server sends as it learns of it, within about a second. A lost connection is
   * replaced, and nothing is missed. The loop ends with the sandbox, when it is left, or when `signal` aborts (reason
   * `aborted`). Default: false. A team has at most 64 such streams; one more throws `limit_exceeded`.
   */
  readonly follow?: boolean | undefined;
}

/** The options of metrics over time. */
export interface MetricHistoryOptions extends TimeRange, FollowOptions {
  /**
   * The length of one point, in seconds, 1 to 86,400. Default: the shortest with at most 1000 points; 1 with `follow`.
   * The server keeps points of seconds for half an hour, of minutes for a day, and of hours for 30 days.
   */
  readonly stepSeconds?: number | undefined;
}

/** The options of a log. */
export interface LogOptions extends FollowOptions {
  /** The time of the oldest entry, included. Default: the oldest that is kept. */
  readonly start?: Date | undefined;
  /** The lowest level. Default: `debug`, which is all. */
  readonly level?: Schemas['SandboxLogEntry']['level'] | undefined;
  /** Text that the message must contain, at most 256 characters. Default: any. */
  readonly search?: string | undefined;
}

/** The options of events. */
export interface EventOptions extends FollowOptions, ConnectionOptions {
  /** Begin after the event with this `sequence`. Default: 0, all that are kept (7 days unless the server sets it). */
  readonly after?: number | undefined;
}

/**
 * One point of metrics over time, in the form of the REST API. Sizes are means in bytes, counters are what happened
 * during the point. docs/observability.md describes the fields.
 */
export type MetricPoint = Schemas['SandboxMetricPoint'];
/**
 * One entry of the log of a sandbox, in the form of the REST API. The log has what the platform does with the sandbox,
 * and with `logOutput` the lines that commands print. The newest 1000 entries of the server, of envd and of commands
 * each are kept.
 */
export type LogEntry = Schemas['SandboxLogEntry'];
/**
 * An event of the life of a sandbox, in the form of E2B's events API, with `sequence`, `eventData.cause` and
 * `eventData.snapshotId` added. docs/events.md describes it.
 */
export type SandboxEvent = Schemas['SandboxEvent'];

const logPage = 1000;
const eventPage = 100;

/** @internal */
export async function* readMetrics(
  connection: Connection,
  sandboxId: string,
  { start, end, stepSeconds, follow = false }: MetricHistoryOptions,
): AsyncGenerator<MetricPoint> {
  const path = `/sandboxes/${segment(sandboxId)}/metrics/history`;
  const step = stepSeconds ?? (follow ? 1 : undefined);
  if (!follow) {
    const query = { start: unixSeconds(start), end: unixSeconds(end), step };
    yield* (await callApi<Schemas['SandboxMetricHistory']>(connection, { path, query })).body.points;
    return;
  }
  let from = unixSeconds(start) ?? Math.floor(Date.now() / 1000) - 60;
  const lines = followApi<{ readonly point: MetricPoint }>(connection, () => ({ path, query: { start: from, step } }));
  for await (const { point } of lines) {
    from = point.timestampUnix + (step ?? 1);
    yield point;
  }
}

/** @internal */
export async function* readLogs(
  connection: Connection,
  sandboxId: string,
  { start, level, search, follow = false }: LogOptions,
): AsyncGenerator<LogEntry> {
  const path = `/v2/sandboxes/${segment(sandboxId)}/logs`;
  const from = { cursor: start?.getTime(), level, search };
  if (!follow) {
    yield* readKept(connection, path, from);
    return;
  }
  let after: string | undefined;
  const lines = followApi<{ readonly log: LogEntry; readonly cursor: string }>(connection, () => ({
    path,
    query: { ...from, after },
  }));
  for await (const { log, cursor } of lines) {
    after = cursor;
    yield log;
  }
}

/** Reads page by page what a log has. */
async function* readKept(
  connection: Connection,
  path: string,
  { cursor: start, ...filter }: { readonly cursor: number | undefined },
): AsyncGenerator<LogEntry> {
  let cursor = start;
  // Entries of that millisecond that were read: the next page begins with it.
  let seen = 0;
  for (;;) {
    const query = { ...filter, cursor, limit: logPage, direction: 'forward' };
    const { body } = await callApi<Schemas['SandboxLogsV2']>(connection, { path, query });
    // The oldest entries of a log are dropped, and those that were read may be among them.
    const again = body.logs.filter(({ timestamp }) => Date.parse(timestamp) === cursor).length;
    const fresh = body.logs.slice(Math.min(seen, again));
    yield* fresh;
    for (const { timestamp } of fresh) {
      const at = Date.parse(timestamp);
      seen = at === cursor ? seen + 1 : 1;
      cursor = at;
    }
    if (body.logs.length < logPage) return;
    // More entries of one millisecond than a page has cannot be asked for.
    if (fresh.length === 0) [cursor, seen] = [(cursor ?? 0) + 1, 0];
  }
}

/** @internal */
export async function* readEvents(
  connection: Connection,
  sandboxId: string | undefined,
  { after = 0, follow = false }: EventOptions,
): AsyncGenerator<SandboxEvent> {
  const path = sandboxId === undefined ? '/events/sandboxes' : `/events/sandboxes/${segment(sandboxId)}`;
  let from = after;
  if (follow) {
    const lines = followApi<{ readonly event: SandboxEvent }>(connection, () => ({ path, query: { after: from } }));
    for await (const { event } of lines) {
      from = event.sequence;
      yield event;
    }
    return;
  }
  for (;;) {
    const query = { after: from, limit: eventPage, orderAsc: 'true' };
    const { body, headers } = await callApi<readonly SandboxEvent[]>(connection, { path, query });
    yield* body;
    from = body.at(-1)?.sequence ?? from;
    // A page of large events is shorter. Its header then says where the next page starts.
    if (body.length === 0 || (body.length < eventPage && !headers.has(headerNames.nextAfter))) return;
  }
}
