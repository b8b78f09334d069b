import { headers as headerNames } from '@soulbox/contract/headers';
import type { Schemas } from '../api.ts';
import { callApi, segment } from '../api.ts';
import type { Connection, ConnectionOptions } from '../config.ts';
import { SoulBoxError } from '../error.ts';
import { unixSeconds } from './metrics.ts';
import type { TimeRange } from './metrics.ts';

/** Whether a list goes on with what is new. */
export interface FollowOptions {
  /** Wait for new entries until `signal` aborts or the loop is left. Default: false. */
  readonly follow?: boolean | undefined;
}

/** The options of metrics over time. */
export interface MetricHistoryOptions extends TimeRange, FollowOptions {
  /** Seconds of one point, 1 to 86,400. Default: so that there are at most 1000 points; 1 with `follow`. */
  readonly stepSeconds?: number | undefined;
}

/** The options of a log. */
export interface LogOptions extends FollowOptions {
  /** Default: the oldest entry. */
  readonly start?: Date | undefined;
  /** The lowest level. Default: all. */
  readonly level?: Schemas['SandboxLogEntry']['level'] | undefined;
  /** Text that the message must contain. */
  readonly search?: string | undefined;
}

/** The options of events. */
export interface EventOptions extends FollowOptions, ConnectionOptions {
  /** Begin after the event with this number. Default: 0, all that are kept. */
  readonly after?: number | undefined;
}

/** One point of metrics over time, in the form of the REST API. Sizes in bytes, counters since the last point. */
export type MetricPoint = Schemas['SandboxMetricPoint'];
/** One entry of the log of a sandbox, in the form of the REST API. */
export type LogEntry = Schemas['SandboxLogEntry'];
/** An event of the life of a sandbox, in the form of the REST API. */
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
  // Entries of the last millisecond: the next page begins with that millisecond.
  let known = 0;
  for (;;) {
    const query = { cursor, level, search, limit: logPage, direction: 'forward' };
    const { body } = await callApi<Schemas['SandboxLogsV2']>(connection, { path, query });
    const fresh = body.logs.slice(known);
    yield* fresh;
    const last = body.logs.at(-1);
    if (last !== undefined) {
      const at = Date.parse(last.timestamp);
      known = body.logs.filter(({ timestamp }) => Date.parse(timestamp) === at).length;
      // A page of one millisecond only: what is behind it cannot be asked for.
      if (known === logPage) {
        cursor = at + 1;
        known = 0;
      } else cursor = at;
    }
    if (body.logs.length === logPage) continue;
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
