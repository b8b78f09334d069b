import type { Schemas } from '../api.ts';
import { callApi, segment } from '../api.ts';
import type { Connection, ConnectionOptions } from '../config.ts';
import type { SandboxAccess } from '../envd.ts';
import { SoulBoxError } from '../error.ts';

/** What happens at the end of the timeout, as in e2b 2.51.0. */
export interface SandboxLifecycle {
  /** `pause` keeps the sandbox, normally with its memory. A sandbox without a lifecycle is killed. */
  readonly onTimeout:
    | 'kill'
    | 'pause'
    | {
        /** What happens. */
        readonly action: 'kill' | 'pause';
        /** False: a pause keeps only the disk, and the sandbox boots when it is resumed. Default: true. */
        readonly keepMemory?: boolean;
      };
  /**
   * Resume a paused sandbox when a request for it arrives. Has an effect with `pause` only. Together with
   * `keepMemory: false`, it throws `bad_request`. Default: false.
   */
  readonly autoResume?: boolean | undefined;
}

/** A volume for a new sandbox: its name or id, or what `volumes.get` returns. */
export type MountedVolume =
  | string
  | {
      /** Its name or id. */
      readonly name: string;
      /** The sandbox cannot change it. A snapshot is always read-only. An addition to e2b 2.51.0. Default: false. */
      readonly readOnly?: boolean | undefined;
    };

/** A bucket for a new sandbox: its name or id, or what `buckets.get` returns. An addition to e2b 2.51.0. */
export type MountedBucket =
  | string
  | {
      /** Its name or id. */
      readonly name: string;
      /** Only the objects below this key, as `2026/` for a folder of the bucket. Default: all. */
      readonly prefix?: string | undefined;
      /** The sandbox cannot change it. A bucket that is read-only is always so. Default: false. */
      readonly readOnly?: boolean | undefined;
    };

/** The options of a new sandbox, as in e2b 2.51.0. `bucketMounts`, `idleTimeoutMs`, `isolation`, `logOutput` and `idempotencyKey` are additions. */
export interface SandboxOptions extends ConnectionOptions {
  /** A template or snapshot: its id, `name`, `name:tag` or `team/name:tag`. Default: `base`. */
  readonly template?: string | undefined;
  /**
   * The life of the sandbox from now on, in milliseconds, rounded up to seconds. Default: 300,000. At most the server's
   * limit (24 hours unless set); more throws `bad_request`.
   */
  readonly timeoutMs?: number | undefined;
  /**
   * Pairs that lists show and can be filtered by: at most 64, keys of 256 bytes, values of 4096 bytes. Default: none.
   * Keys that begin with `soulbox.` are reserved.
   */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Variables of all commands: at most 512, values of about 128 KiB. Default: none. */
  readonly envs?: Readonly<Record<string, string>> | undefined;
  /** What happens at the end of the timeout. Default: the sandbox is killed. */
  readonly lifecycle?: SandboxLifecycle | undefined;
  /**
   * After this time without CPU use, I/O, open streams or requests, the sandbox ends or pauses as at its timeout. In
   * milliseconds, rounded up to seconds, at most a year. 0: never. Default: 0.
   */
  readonly idleTimeoutMs?: number | undefined;
  /** False: no connections to the outside, except to `network.allowOut`. Default: true. */
  readonly allowInternetAccess?: boolean | undefined;
  /** Rules for connections, in the form of the REST API. docs/network.md describes them. Default: none. */
  readonly network?: Schemas['SandboxNetworkConfig'] | undefined;
  /**
   * Volumes of the team by the absolute path at which the sandbox has them, at most 10. They stay when the sandbox ends.
   * docs/volumes.md has promises and limits. Errors: `volume_not_found`, `volume_mount_failed`, `capability_missing` with
   * the isolation `gvisor`. Default: none.
   */
  readonly volumeMounts?: Readonly<Record<string, MountedVolume>> | undefined;
  /**
   * Buckets of the team by the absolute path at which the sandbox has them as a folder; with volumes, at most 10.
   * docs/buckets.md says what differs from a disk. Errors: `bucket_not_found`, `volume_mount_failed`, `capability_missing`
   * with the isolation `gvisor`. Default: none.
   */
  readonly bucketMounts?: Readonly<Record<string, MountedBucket>> | undefined;
  /**
   * The wall around the sandbox. Default: that of the key, then of the template, then of the server. Another one than
   * that of a built template or a snapshot throws `state_incompatible`.
   */
  readonly isolation?: 'container' | 'gvisor' | undefined;
  /**
   * Write the lines that commands print into the log of the sandbox, see `getLogs`. Terminals are not logged. A fork has
   * the setting of its source. Default: false.
   */
  readonly logOutput?: boolean | undefined;
  /**
   * Makes the call safe to repeat: with the same key and options, the server returns the same sandbox for a day.
   * Visible ASCII, at most 255 characters. Default: none. With other options, the same key throws
   * `idempotency_key_reused`.
   */
  readonly idempotencyKey?: string | undefined;
}

/** The options of a connection to a sandbox, as in e2b 2.51.0. */
export interface SandboxConnectOptions extends ConnectionOptions {
  /**
   * At least this life from now on, in milliseconds, rounded up to seconds. It never shortens a life. Default: 300,000.
   */
  readonly timeoutMs?: number | undefined;
  /**
   * `reboot`: resume a paused sandbox from its disk, without its memory. A running one is not changed. Default:
   * `restore`.
   */
  readonly onResume?: 'restore' | 'reboot' | undefined;
}

/** @internal */
export const defaultTimeoutMs = 300_000;

/** Throws `template_not_found`, `limit_exceeded`, `bad_request` and others of docs/errors.md. @internal */
export async function createSandbox(connection: Connection, options: SandboxOptions): Promise<SandboxAccess> {
  const { template = 'base', timeoutMs = defaultTimeoutMs, idempotencyKey, metadata, envs, network } = options;
  const { allowInternetAccess, isolation, idleTimeoutMs, logOutput, volumeMounts, bucketMounts } = options;
  const body = {
    ...{ templateID: template, timeout: seconds(timeoutMs), metadata, envVars: envs, network, isolation },
    ...{ allow_internet_access: allowInternetAccess, logOutput },
    ...(idleTimeoutMs === undefined ? {} : { idleTimeout: seconds(idleTimeoutMs) }),
    ...lifecycleToWire(options.lifecycle),
    ...(volumeMounts === undefined ? {} : { volumeMounts: mountsToWire(volumeMounts) }),
    ...(bucketMounts === undefined ? {} : { bucketMounts: mountsToWire(bucketMounts) }),
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

function mountsToWire(mounts: Readonly<Record<string, MountedVolume | MountedBucket>>): object[] {
  return Object.entries(mounts).map(([path, mounted]) => {
    if (typeof mounted === 'string') return { name: mounted, path };
    const { name, readOnly } = mounted;
    return { name, path, readOnly, ...('prefix' in mounted ? { prefix: mounted.prefix } : {}) };
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
