import type { Cause } from '@soulbox/contract';

/** The network settings of a sandbox, as its creator gave them; the API returns them. */
export interface NetworkRecord {
  /** Undefined if not specified; then access is allowed. */
  readonly allowInternetAccess: boolean | undefined;
  /** IPv4 addresses or CIDR blocks; they take priority over `denyOut`. */
  readonly allowOut: readonly string[];
  readonly denyOut: readonly string[];
  /** Undefined if not specified; then public traffic is allowed. */
  readonly allowPublicTraffic: boolean | undefined;
  /** Host header for the sandbox's services; `${PORT}` stands for the port. */
  readonly maskRequestHost: string | undefined;
}

/** Automatic changes of a sandbox's state. */
export interface LifecycleRecord {
  /** Whether a request for the paused sandbox resumes it. */
  readonly autoResume: boolean;
  readonly onTimeout: 'kill' | 'pause';
  /** Seconds without activity after which the sandbox is treated as at its deadline; 0: never. */
  readonly idleTimeoutSeconds: number;
}

/** A volume or a bucket in a sandbox. */
export interface VolumeMountRecord {
  /** The id of the volume or bucket. */
  readonly volumeId: string;
  /** Its name in the request. */
  readonly name: string;
  /** Absolute path in the sandbox. */
  readonly path: string;
  readonly readOnly: boolean;
  /** Only of a bucket: the beginning of all keys in the mount. Empty, or it ends with `/`. */
  readonly bucketPrefix?: string;
}

/** The control plane's data about a sandbox in any state. The runner keeps tokens and variables; they are not here. */
export interface SandboxFacts {
  readonly id: string;
  readonly teamId: string;
  /** A template's id, or a snapshot's id for a sandbox that was created from one. */
  readonly templateId: string;
  /** The template's name in the request; empty if the request used its id and it has no name. */
  readonly alias: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly startedAt: number;
  /** When the runner ends or pauses it. */
  readonly endAt: number;
  readonly cpuCount: number;
  /** MiB. */
  readonly memoryMb: number;
  /** MiB. */
  readonly diskSizeMb: number;
  readonly envdVersion: string;
  readonly network: NetworkRecord;
  readonly lifecycle: LifecycleRecord;
  /** Volumes and buckets, mounted as long as it exists. */
  readonly volumes: readonly VolumeMountRecord[];
  /** The driver that isolates it; empty for a sandbox of a version that had only one driver. */
  readonly isolation: string;
  /** Id of the API key that created it; empty if unknown, and for sandboxes of functions. */
  readonly createdBy: string;
  /** Id of the repeatable request that created it; empty for any other. */
  readonly creationId: string;
  /** The cause of its current state. `lost`: the runner did not know it any more when the two lists were compared. */
  readonly cause: Cause;
  /** When its current state began. */
  readonly stateSince: number;
}

/** A sandbox as the runner reports it. */
export type ReportedSandbox = SandboxFacts & { readonly state: 'running' | 'paused' };

/** A row: `executionStartedAt` is the time when it last began to run, by its start or a resume. */
export type SandboxRecord = SandboxFacts & {
  readonly state: 'running' | 'paused' | 'ended';
  readonly executionStartedAt: number;
};
