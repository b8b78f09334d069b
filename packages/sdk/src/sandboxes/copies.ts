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

/** The options of a fork, as in e2b 2.51.0. `idempotencyKey` and `volumes` are additions. */
export interface ForkOptions extends ConnectionOptions {
  /** How many copies, 1 to 100. Default: 1. */
  readonly count?: number | undefined;
  /** The life of each copy from now on, in milliseconds, rounded up to seconds. Default: 300,000. */
  readonly timeoutMs?: number | undefined;
  /**
   * `clone`: each copy gets clones of the volumes of the source, with the contents of the moment of its memory. They stay
   * when the copy ends; `info()` names them, and `volumes.delete` deletes them. Default: `share`: the copies mount the
   * volumes of the source. Of a snapshot that was made with `volumes: 'snapshot'`, each copy gets clones in any case.
   */
  readonly volumes?: 'share' | 'clone' | undefined;
  /**
   * Makes the call safe to repeat for a day: visible ASCII, at most 255 characters. Default: none. With other options,
   * the same key throws `idempotency_key_reused`.
   */
  readonly idempotencyKey?: string | undefined;
}

/** The options of a snapshot. `idempotencyKey` and `volumes` are additions to e2b 2.51.0. */
export interface SnapshotOptions extends ConnectionOptions {
  /**
   * The name, `[team/]name[:tag]`, in lower case. A snapshot of the team with this name is replaced. The name of a
   * template throws `name_taken`. Default: no name.
   */
  readonly name?: string | undefined;
  /**
   * `snapshot`: makes a snapshot of each volume of the sandbox at the moment of its memory. Each sandbox from the snapshot
   * gets clones of them. Both stay until they are deleted with `volumes.delete`. Default: `share`: the sandboxes mount the
   * volumes of the sandbox.
   */
  readonly volumes?: 'share' | 'snapshot' | undefined;
  /**
   * Makes the call safe to repeat for a day: visible ASCII, at most 255 characters. Default: none. With other options,
   * the same key throws `idempotency_key_reused`.
   */
  readonly idempotencyKey?: string | undefined;
}

/** A saved sandbox: a template of new ones, with its memory and disk. It stays until it is deleted. */
export interface SnapshotInfo {
  /** The id, which `Sandbox.create` and `Sandbox.forkSnapshot` take. */
  readonly snapshotId: string;
  /** Its names, `team/name:tag`. Empty: none. */
  readonly names: readonly string[];
  /** The sandbox of which it was made. It may be gone. */
  readonly sandboxId: string;
  /** When the sandbox was saved. */
  readonly createdAt: Date;
  /** The wall around the sandbox of which it was made. Sandboxes from it have the same. */
  readonly isolation: string;
  /** What it takes on the disk of the server, in bytes. */
  readonly sizeBytes: number;
}

/** The options of a list of snapshots. */
export interface SnapshotListOptions extends ConnectionOptions, PageOptions {
  /** Only those of this sandbox. Default: of all. */
  readonly sandboxId?: string | undefined;
  /** Only those of this name, `[team/]name[:tag]`; without a tag, all tags. Default: of any name and none. */
  readonly name?: string | undefined;
}

/** @internal */
export async function makeCopies(
  connection: Connection,
  source: 'sandboxes' | 'snapshots',
  id: string,
  { count = 1, timeoutMs = defaultTimeoutMs, volumes, idempotencyKey }: ForkOptions,
): Promise<(SandboxAccess | SoulBoxError)[]> {
  const body = { count, timeout: seconds(timeoutMs), volumes };
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
  { name, volumes, idempotencyKey }: SnapshotOptions,
): Promise<SnapshotInfo> {
  const path = `/sandboxes/${segment(sandboxId)}/snapshots`;
  const call = { method: 'POST', path, body: { name, volumes }, idempotencyKey } as const;
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
