import type { Schemas } from '../api.ts';
import { callApi, segment } from '../api.ts';
import type { Connection, ConnectionOptions } from '../config.ts';
import type { SandboxAccess } from '../envd.ts';
import { SoulBoxError } from '../error.ts';

/** What happens at the end of the timeout. */
export interface SandboxLifecycle {
  /** `pause` keeps the sandbox, normally with its memory. Default: `kill`. */
  readonly onTimeout: 'kill' | 'pause' | { readonly action: 'kill' | 'pause'; readonly keepMemory?: boolean };
  /** Resume a paused sandbox when a request for it arrives. Only with `pause` and memory. Default: false. */
  readonly autoResume?: boolean | undefined;
}

/** The options of a new sandbox. */
export interface SandboxOptions extends ConnectionOptions {
  /** The name or id of a template, or the id of a snapshot. Default: `base`. */
  readonly template?: string | undefined;
  /** The life of the sandbox from now on, in milliseconds, rounded up to seconds. Default: 300,000. */
  readonly timeoutMs?: number | undefined;
  /** Shown in lists, which can be filtered by it. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Variables of all commands. */
  readonly envs?: Readonly<Record<string, string>> | undefined;
  readonly lifecycle?: SandboxLifecycle | undefined;
  /** Pause or end a sandbox without traffic earlier, in milliseconds, rounded up to seconds. 0: never. Default: 0. */
  readonly idleTimeoutMs?: number | undefined;
  /** False: no connections to the outside. Default: true. */
  readonly allowInternetAccess?: boolean | undefined;
  /** Rules for connections, in the form of the REST API. Default: none. */
  readonly network?: Schemas['SandboxNetworkConfig'] | undefined;
  /** The wall around the sandbox. Default: that of the key, then of the server. */
  readonly isolation?: 'container' | 'gvisor' | undefined;
  /** Makes the call safe to repeat: with the same key and options, the server returns the same sandbox for a day. */
  readonly idempotencyKey?: string | undefined;
}

/** The options of a connection to a sandbox. */
export interface SandboxConnectOptions extends ConnectionOptions {
  /** At least this life from now on, in milliseconds, rounded up to seconds. Default: 300,000. */
  readonly timeoutMs?: number | undefined;
  /** `reboot`: resume a paused sandbox from its disk, without its memory. Default: `restore`. */
  readonly onResume?: 'restore' | 'reboot' | undefined;
}

/** @internal */
export const defaultTimeoutMs = 300_000;

/** Throws `template_not_found`, `limit_exceeded`, `bad_request` and others of docs/errors.md. @internal */
export async function createSandbox(connection: Connection, options: SandboxOptions): Promise<SandboxAccess> {
  const { template = 'base', timeoutMs = defaultTimeoutMs, idempotencyKey, metadata, envs, network } = options;
  const { allowInternetAccess, isolation, idleTimeoutMs } = options;
  const body = {
    ...{ templateID: template, timeout: seconds(timeoutMs), metadata, envVars: envs, network, isolation },
    allow_internet_access: allowInternetAccess,
    ...(idleTimeoutMs === undefined ? {} : { idleTimeout: seconds(idleTimeoutMs) }),
    ...lifecycleToWire(options.lifecycle),
  };
  const call = { method: 'POST', path: '/v2/sandboxes', body, idempotencyKey } as const;
  return accessFrom(connection, (await callApi<Schemas['Sandbox']>(connection, call)).body);
}

/** Resumes a paused sandbox. Throws `sandbox_not_found`. @internal */
export async function connectSandbox(
  connection: Connection,
  sandboxId: string,
  { timeoutMs = defaultTimeoutMs, onResume = 'restore' }: SandboxConnectOptions,
): Promise<SandboxAccess> {
  const body = { timeout: seconds(timeoutMs), ...(onResume === 'reboot' ? { memory: false } : {}) };
  const path = `/v2/sandboxes/${segment(sandboxId)}/connect`;
  return accessFrom(connection, (await callApi<Schemas['Sandbox']>(connection, { method: 'POST', path, body })).body);
}

/** @internal */
export function accessFrom(connection: Connection, wire: Schemas['Sandbox']): SandboxAccess {
  return {
    sandboxId: wire.sandboxID,
    sandboxDomain: wire.domain ?? connection.domain,
    envdAccessToken: wire.envdAccessToken,
    trafficAccessToken: wire.trafficAccessToken ?? undefined,
  };
}

/** The API counts in seconds. @internal */
export function seconds(ms: number): number {
  if (Number.isFinite(ms)) return Math.ceil(ms / 1000);
  throw new SoulBoxError(`A timeout of ${ms} ms is not possible.`, {
    ...{ code: 'invalid_argument', reason: 'bad_request' },
  });
}

function lifecycleToWire(lifecycle: SandboxLifecycle | undefined): object {
  if (lifecycle === undefined) return {};
  const { onTimeout, autoResume = false } = lifecycle;
  const { action, keepMemory } =
    typeof onTimeout === 'string'
      ? { action: onTimeout, keepMemory: undefined }
      : { keepMemory: undefined, ...onTimeout };
  return {
    autoPause: action === 'pause',
    ...(keepMemory === undefined ? {} : { autoPauseMemory: keepMemory }),
    ...(autoResume ? { autoResume: { enabled: true } } : {}),
  };
}
