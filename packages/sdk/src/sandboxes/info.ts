import type { Schemas } from '../api.ts';
import { callApi, segment } from '../api.ts';
import type { Connection, ConnectionOptions } from '../config.ts';
import { connectionFrom } from '../config.ts';
import { createPaginator } from '../pages.ts';
import type { PageOptions, Paginator } from '../pages.ts';

/** A bucket in a sandbox. An addition to e2b 2.51.0. */
export interface SandboxBucketMount {
  /** The name of the bucket. */
  readonly name: string;
  /** Where the sandbox has it. */
  readonly path: string;
  /** The beginning of all keys in the mount: empty, or it ends with `/`. */
  readonly prefix: string;
  /** The sandbox cannot change it. */
  readonly readOnly: boolean;
}

/** A volume in a sandbox. */
export interface SandboxVolumeMount {
  /** The name of the volume. */
  readonly name: string;
  /** Where the sandbox has it. */
  readonly path: string;
  /** The sandbox cannot change it. An addition to e2b 2.51.0. */
  readonly readOnly: boolean;
}

/**
 * What the server knows about a sandbox in a list. `cause`, `stateSince`, `diskSizeMB` and `isolation` are additions to
 * e2b 2.51.0.
 */
export interface SandboxInfo {
  /** The id: `i` and 20 letters and digits. It is the same after a pause. */
  readonly sandboxId: string;
  /** The id of the template or snapshot that it was created from. */
  readonly templateId: string;
  /** The name of the template. Undefined if it has none. */
  readonly name: string | undefined;
  /** What the create gave it. Keys that begin with `soulbox.` are the server's. */
  readonly metadata: Readonly<Record<string, string>>;
  /** When it was created. */
  readonly startedAt: Date;
  /** The end of the timeout. For a paused sandbox, the time of the pause. */
  readonly endAt: Date;
  /** `paused`: it uses no CPU and no memory, and `connect` resumes it. */
  readonly state: 'running' | 'paused';
  /** Why the sandbox is in this state, such as `request` or `timeout`. docs/events.md lists the causes. */
  readonly cause: Schemas['ListedSandbox']['cause'];
  /** When the sandbox entered this state. */
  readonly stateSince: Date;
  /** How many CPUs it may use. */
  readonly cpuCount: number;
  /** The limit of its memory, in MiB. */
  readonly memoryMB: number;
  /** The size of its disk, in MiB. */
  readonly diskSizeMB: number;
  /** The version of E2B's envd protocol that the sandbox offers. */
  readonly envdVersion: string;
  /** The wall around the sandbox: `container` or `gvisor`. Empty for a sandbox of an older version. */
  readonly isolation: string;
  /** The volumes in it, and where. */
  readonly volumeMounts: readonly SandboxVolumeMount[];
  /** The buckets in it, and where. An addition to e2b 2.51.0. */
  readonly bucketMounts: readonly SandboxBucketMount[];
}

/** What the server knows about one sandbox. */
export interface SandboxDetail extends SandboxInfo {
  /** Whether connections to the outside are allowed. Undefined: the create did not say, so they are. */
  readonly allowInternetAccess: boolean | undefined;
  /** The rules for connections, in the form of the REST API and without passwords. Undefined: none. */
  readonly network: Schemas['SandboxNetworkDetail'] | undefined;
  /** What happens at the end of the timeout. */
  readonly lifecycle: {
    /** Whether the sandbox is killed or paused then. */
    readonly onTimeout: 'kill' | 'pause';
    /** Whether a request for the paused sandbox resumes it. */
    readonly autoResume: boolean;
  };
  /** The domain of its host names. Undefined: the server has none. */
  readonly sandboxDomain: string | undefined;
}

/** The options of a list of sandboxes, as in e2b 2.51.0. */
export interface SandboxListOptions extends ConnectionOptions, PageOptions {
  /** Only sandboxes that match all of these. Default: all of the team. */
  readonly query?:
    | {
        /** All of these pairs must be in the metadata, with exactly these values. Default: any metadata. */
        readonly metadata?: Readonly<Record<string, string>> | undefined;
        /** Any of these states. Default: both. */
        readonly state?: readonly ('running' | 'paused')[] | undefined;
        /** Created at this time or later. Default: at any time. */
        readonly startedAfter?: Date | undefined;
        /** The name or id of a template, without a tag. An unknown one matches nothing. Default: any template. */
        readonly template?: string | undefined;
      }
    | undefined;
  /** The order, by the time of the create. Default: `desc`, the newest first. */
  readonly order?: 'asc' | 'desc' | undefined;
}

/** Throws `sandbox_not_found`. @internal */
export async function getInfo(connection: Connection, sandboxId: string): Promise<SandboxDetail> {
  const path = `/sandboxes/${segment(sandboxId)}`;
  const { body } = await callApi<Schemas['SandboxDetail']>(connection, { path });
  return {
    ...infoFromWire(body),
    allowInternetAccess: body.allowInternetAccess ?? undefined,
    network: body.network,
    lifecycle: body.lifecycle,
    sandboxDomain: body.domain ?? undefined,
  };
}

/** @internal */
export function listSandboxes(options: SandboxListOptions = {}): Paginator<SandboxInfo> {
  const { query = {}, order, limit, nextToken, ...connection } = options;
  const { metadata, state, startedAfter, template } = query;
  const filter = Object.entries(metadata ?? {}).map(([key, value]): [string, string] => [
    encodeURIComponent(key),
    encodeURIComponent(value),
  ]);
  const call = {
    path: '/v2/sandboxes',
    query: {
      ...{ order, template, state: state?.join(','), startedAfter: startedAfter?.toISOString() },
      metadata: metadata === undefined ? undefined : new URLSearchParams(filter).toString(),
    },
  };
  return createPaginator(() => connectionFrom(connection), call, { limit, nextToken }, infoFromWire);
}

function infoFromWire(wire: Schemas['ListedSandbox']): SandboxInfo {
  const { sandboxID, templateID, alias, metadata, state, cause, cpuCount, memoryMB, diskSizeMB } = wire;
  return {
    ...{ sandboxId: sandboxID, templateId: templateID, name: alias, metadata, state, cause, cpuCount, memoryMB },
    ...{ diskSizeMB, envdVersion: wire.envdVersion, isolation: wire.isolation },
    ...{ volumeMounts: wire.volumeMounts ?? [], bucketMounts: wire.bucketMounts ?? [] },
    startedAt: new Date(wire.startedAt),
    endAt: new Date(wire.endAt),
    stateSince: new Date(wire.stateSince),
  };
}
