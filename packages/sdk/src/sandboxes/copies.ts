import { headers as headerNames } from '@soulbox/contract/headers';
import type { Schemas } from '../api.ts';
import { callApi, callUnlessGone, segment } from '../api.ts';
import type { Connection, ConnectionOptions } from '../config.ts';
import { connectionFrom } from '../config.ts';
import type { SandboxAccess } from '../envd.ts';
import { SoulBoxError } from '../error.ts';
import { createPaginator } from '../pages.ts';
import type { PageOptions, Paginator } from '../pages.ts';
import { accessFrom, defaultTimeoutMs, seconds } from './create.ts';

/** The options of a fork. */
export interface ForkOptions extends ConnectionOptions {
  /** How many copies, 1 to 100. Default: 1. */
  readonly count?: number | undefined;
  /** The life of each copy from now on, in milliseconds, rounded up to seconds. Default: 300,000. */
  readonly timeoutMs?: number | undefined;
  /** Makes the call safe to repeat for a day. */
  readonly idempotencyKey?: string | undefined;
}

/** The options of a snapshot. */
export interface SnapshotOptions extends ConnectionOptions {
  /** `[team/]name[:tag]`. Default: no name. */
  readonly name?: string | undefined;
  /** Makes the call safe to repeat for a day. */
  readonly idempotencyKey?: string | undefined;
}

/** A saved sandbox: a template of new ones, with its memory and disk. */
export interface SnapshotInfo {
  readonly snapshotId: string;
  readonly names: readonly string[];
  /** The sandbox of which it was made. */
  readonly sandboxId: string;
  readonly createdAt: Date;
  readonly isolation: string;
  readonly sizeBytes: number;
}

/** The options of a list of snapshots. */
export interface SnapshotListOptions extends ConnectionOptions, PageOptions {
  /** Only those of this sandbox. */
  readonly sandboxId?: string | undefined;
  /** Only those of this name. */
  readonly name?: string | undefined;
}

/** @internal */
export async function makeCopies(
  connection: Connection,
  source: 'sandboxes' | 'snapshots',
  id: string,
  { count = 1, timeoutMs = defaultTimeoutMs, idempotencyKey }: ForkOptions,
): Promise<(SandboxAccess | SoulBoxError)[]> {
  const body = { count, timeout: seconds(timeoutMs) };
  const call = { method: 'POST', path: `/${source}/${segment(id)}/fork`, body, idempotencyKey } as const;
  const { body: results, headers } = await callApi<readonly Schemas['SandboxForkResult'][]>(connection, call);
  return results.map(({ sandbox, error }) =>
    sandbox === undefined
      ? new SoulBoxError(error?.message ?? 'The copy could not be made.', {
          ...{ code: 'internal', reason: 'copy_failed', status: error?.code },
          requestId: headers.get(headerNames.requestId) ?? undefined,
        })
      : accessFrom(connection, sandbox),
  );
}

/** @internal */
export async function createSnapshot(
  connection: Connection,
  sandboxId: string,
  { name, idempotencyKey }: SnapshotOptions,
): Promise<SnapshotInfo> {
  const path = `/sandboxes/${segment(sandboxId)}/snapshots`;
  const call = { method: 'POST', path, body: { name }, idempotencyKey } as const;
  return snapshotFromWire((await callApi<Schemas['SnapshotInfo']>(connection, call)).body);
}

/** @internal */
export function listSnapshots(options: SnapshotListOptions = {}): Paginator<SnapshotInfo> {
  const { sandboxId, name, limit, nextToken, ...connection } = options;
  const call = { path: '/snapshots', query: { sandboxID: sandboxId, name } };
  return createPaginator(() => connectionFrom(connection), call, { limit, nextToken }, snapshotFromWire);
}

/** @internal */
export async function deleteSnapshot(connection: Connection, snapshotId: string): Promise<boolean> {
  return await callUnlessGone(connection, { method: 'DELETE', path: `/snapshots/${segment(snapshotId)}` });
}

/** @internal */
export function snapshotFromWire(wire: Schemas['SnapshotInfo']): SnapshotInfo {
  const { snapshotID, sandboxID, names, createdAt, isolation, sizeBytes } = wire;
  return {
    ...{ snapshotId: snapshotID, sandboxId: sandboxID, names, isolation, sizeBytes, createdAt: new Date(createdAt) },
  };
}
