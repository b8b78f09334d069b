import type { Schemas } from '../api.ts';
import { callApi, segment } from '../api.ts';
import type { Connection } from '../config.ts';

/** The use of resources at one moment. Sizes in bytes. */
export interface SandboxMetrics {
  readonly timestamp: Date;
  /** Percent of one processor. */
  readonly cpuUsedPct: number;
  readonly cpuCount: number;
  readonly memUsed: number;
  readonly memTotal: number;
  readonly memCache: number;
  readonly diskUsed: number;
  readonly diskTotal: number;
}

/** A range of time. */
export interface TimeRange {
  /** Default: the start of the sandbox. */
  readonly start?: Date | undefined;
  /** Default: now. */
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
