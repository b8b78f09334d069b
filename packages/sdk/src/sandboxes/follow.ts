import { headers as headerNames } from '@soulbox/contract/headers';
import type { Schemas } from '../api.ts';
import { callApi, segment } from '../api.ts';
import type { Connection, ConnectionOptions } from '../config.ts';
import { SoulBoxError } from '../error.ts';
import { unixSeconds } from './metrics.ts';
import type { TimeRange } from './metrics.ts';

/** Whether a list goes on with what is new. */
export interface FollowOptions {
  /** Ask for new entries once a second until `signal` aborts (reason `aborted`) or the loop is left. Default: false. */
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

const pauseMs = 1000;
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
  let from = unixSeconds(start) ?? (follow ? Math.floor(Date.now() / 1000) - 60 : undefined);
  for (;;) {
    const query = { start: from, end: unixSeconds(end), step };
    const { body } = await callApi<Schemas['SandboxMetricHistory']>(connection, { path, query });
    // The newest point may still grow.
    yield* follow ? body.points.slice(0, -1) : body.points;
    if (!follow) return;
    from = body.points.at(-1)?.timestampUnix ?? from;
    await pause(connection);
  }
}

/** @internal */
export async function* readLogs(
  connection: Connection,
  sandboxId: string,
  { start, level, search, follow = false }: LogOptions,
): AsyncGenerator<LogEntry> {
  const path = `/v2/sandboxes/${segment(sandboxId)}/logs`;
  let cursor = start?.getTime();
  // Entries of that millisecond that were read: the next page begins with it.
  let seen = 0;
  for (;;) {
    const query = { cursor, level, search, limit: logPage, direction: 'forward' };
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
    if (body.logs.length === logPage) {
      // More entries of one millisecond than a page has cannot be asked for.
      if (fresh.length === 0) [cursor, seen] = [(cursor ?? 0) + 1, 0];
      continue;
    }
    if (!follow) return;
    await pause(connection);
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
  for (;;) {
    const query = { after: from, limit: eventPage, orderAsc: 'true' };
    const { body, headers } = await callApi<readonly SandboxEvent[]>(connection, { path, query });
    yield* body;
    from = body.at(-1)?.sequence ?? from;
    // A page of large events is shorter. Its header then says where the next page starts.
    if (body.length > 0 && (body.length === eventPage || headers.has(headerNames.nextAfter))) continue;
    if (!follow) return;
    await pause(connection);
  }
}

async function pause({ options: { signal } }: Connection): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(new SoulBoxError('The caller has ended it.', { code: 'canceled', reason: 'aborted' }));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, pauseMs);
    if (signal?.aborted === true) abort();
    signal?.addEventListener('abort', abort, { once: true });
  });
}
