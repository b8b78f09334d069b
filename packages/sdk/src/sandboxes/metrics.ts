import type { Schemas } from '../api.ts';
import { callApi, segment } from '../api.ts';
import type { Connection } from '../config.ts';

/** The use of resources at one moment, with the fields of e2b 2.51.0. Sizes in bytes. */
export interface SandboxMetrics {
  /** When it was measured, by the clock of the server. */
  readonly timestamp: Date;
  /** CPU use in percent: 100 is one whole CPU. */
  readonly cpuUsedPct: number;
  /** How many CPUs the sandbox may use. */
  readonly cpuCount: number;
  /** Memory in use, without reclaimable cache, in bytes. */
  readonly memUsed: number;
  /** The limit of the memory, in bytes. */
  readonly memTotal: number;
  /** File cache, in bytes. */
  readonly memCache: number;
  /** Space in use on the disk, in bytes. */
  readonly diskUsed: number;
  /** The size of the disk, in bytes. */
  readonly diskTotal: number;
}

/** A range of time. Both ends are rounded down to seconds and included. */
export interface TimeRange {
  /** The oldest time. Default: the start of the sandbox; with `follow`, a minute ago. */
  readonly start?: Date | undefined;
  /** The newest time. Default: now. */
  readonly end?: Date | undefined;
}

/** Throws `sandbox_not_found`. @internal */
export async function getMetrics(
  connection: Connection,
  sandboxId: string,
  { start, end }: TimeRange,
): Promise<SandboxMetrics[]> {
  const query = { start: unixSeconds(start), end: unixSeconds(end) };
  const path = `/sandboxes/${segment(sandboxId)}/metrics`;
  const { body } = await callApi<readonly Schemas['SandboxMetric'][]>(connection, { path, query });
  return body.map(({ timestampUnix: _unix, timestamp, ...figures }) => ({
    ...figures,
    timestamp: new Date(timestamp),
  }));
}

/**
 * What programs report, in the form of the REST API: `series` with their points, oldest first, every 10 s for half an
 * hour. `rejected` counts lines that were not valid, and `faults` describes some. docs/observability.md says how
 * programs report.
 */
export type CustomMetrics = Schemas['SandboxCustomMetrics'];

/** Which custom metrics are read. */
export interface CustomMetricsOptions {
  /** Only the metrics of this name. Default: all. */
  readonly name?: string | undefined;
  /** The oldest time. Default without `end`: only the newest values are read; with it: the oldest that is kept. */
  readonly start?: Date | undefined;
  /** The newest time. Default: now. */
  readonly end?: Date | undefined;
}

/** Throws `sandbox_not_found`. @internal */
export async function getCustomMetrics(
  connection: Connection,
  sandboxId: string,
  { name, start, end }: CustomMetricsOptions,
): Promise<CustomMetrics> {
  const query = { name, start: unixSeconds(start), end: unixSeconds(end) };
  return (await callApi<CustomMetrics>(connection, { path: `/sandboxes/${segment(sandboxId)}/metrics/custom`, query }))
    .body;
}

/** @internal */
export function unixSeconds(time: Date | undefined): number | undefined {
  return time === undefined ? undefined : Math.floor(time.getTime() / 1000);
}
