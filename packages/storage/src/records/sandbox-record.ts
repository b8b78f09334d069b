import type { Cause } from '@soulbox/contract';

/** The network settings of a sandbox, as its creator gave them; shown again by the API. */
export interface NetworkRecord {
  /** Undefined when it was not asked for either way; then access is allowed. */
  readonly allowInternetAccess: boolean | undefined;
  /** IPv4 addresses or CIDR blocks; they beat `denyOut`. */
  readonly allowOut: readonly string[];
  readonly denyOut: readonly string[];
  /** Undefined when it was not asked for; then public traffic is allowed. */
  readonly allowPublicTraffic: boolean | undefined;
  /** Host header for the sandbox's services; `${PORT}` stands for the port. */
  readonly maskRequestHost: string | undefined;
}

/** What happens to a sandbox by itself. */
export interface LifecycleRecord {
  /** Whether a request for the paused sandbox resumes it. */
  readonly autoResume: boolean;
  readonly onTimeout: 'kill' | 'pause';
  /** Seconds without activity after which it is treated as at its deadline; 0: never. */
  readonly idleTimeoutSeconds: number;
}

/** What the control plane knows of a sandbox whatever its state. Tokens and variables are the runner's, not kept here. */
export interface SandboxFacts {
  readonly id: string;
  readonly teamId: string;
  /** A template's id, or a snapshot's for a sandbox that was made from one. */
  readonly templateId: string;
  /** The template's name as it was asked for; empty when it was asked for by id and has no name. */
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
  /** The driver that walls it off; empty for a sandbox of a version that had only one. */
  readonly isolation: string;
  /** Why it is in its state. `lost`: the runner did not know it any more when the two compared their lists. */
  readonly cause: Cause;
  /** Since when it is in its state. */
  readonly stateSince: number;
}

/** A sandbox as the runner reports it. */
export type LiveSandbox = SandboxFacts & { readonly state: 'running' | 'paused' };

/** A row: `executionStartedAt` is when it last began to run, by its start or a resume. */
export type SandboxRecord = SandboxFacts & {
  readonly state: 'running' | 'paused' | 'ended';
  readonly executionStartedAt: number;
};
