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

/** @internal */
export function unixSeconds(time: Date | undefined): number | undefined {
  return time === undefined ? undefined : Math.floor(time.getTime() / 1000);
}
