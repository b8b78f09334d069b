import type { Schemas } from '../api.ts';
import { callApi, segment } from '../api.ts';
import type { Connection, ConnectionOptions } from '../config.ts';
import { connectionFrom } from '../config.ts';
import { createPaginator } from '../pages.ts';
import type { PageOptions, Paginator } from '../pages.ts';

/** What the server knows about a sandbox. */
export interface SandboxInfo {
  readonly sandboxId: string;
  readonly templateId: string;
  /** The name of the template. */
  readonly name: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly startedAt: Date;
  /** The end of the timeout. For a paused sandbox, the time of the pause. */
  readonly endAt: Date;
  readonly state: 'running' | 'paused';
  /** Why the sandbox is in this state, such as `request` or `timeout`. */
  readonly cause: Schemas['ListedSandbox']['cause'];
  readonly stateSince: Date;
  readonly cpuCount: number;
  /** In MiB. */
  readonly memoryMB: number;
  /** In MiB. */
  readonly diskSizeMB: number;
  readonly envdVersion: string;
  /** The wall around the sandbox. */
  readonly isolation: string;
}

/** What the server knows about one sandbox. */
export interface SandboxDetail extends SandboxInfo {
  readonly allowInternetAccess: boolean | undefined;
  /** The rules for connections, in the form of the REST API. */
  readonly network: Schemas['SandboxNetworkDetail'] | undefined;
  readonly lifecycle: { readonly onTimeout: 'kill' | 'pause'; readonly autoResume: boolean };
  readonly sandboxDomain: string | undefined;
}

/** The options of a list of sandboxes. */
export interface SandboxListOptions extends ConnectionOptions, PageOptions {
  readonly query?:
    | {
        /** All of these must match. */
        readonly metadata?: Readonly<Record<string, string>> | undefined;
        /** Default: both. */
        readonly state?: readonly ('running' | 'paused')[] | undefined;
        readonly startedAfter?: Date | undefined;
        /** The name or id of a template. */
        readonly template?: string | undefined;
      }
    | undefined;
  /** By the time of the start. Default: `desc`, the newest first. */
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
    startedAt: new Date(wire.startedAt),
    endAt: new Date(wire.endAt),
    stateSince: new Date(wire.stateSince),
  };
}
