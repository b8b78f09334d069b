/** The network wishes of a sandbox, as its creator gave them; shown again by the API. */
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

/** What the control plane knows of a sandbox whatever its state. Tokens and variables are the runner's, not kept here. */
export interface SandboxFacts {
  readonly id: string;
  readonly teamId: string;
  readonly templateId: string;
  /** The template's name as it was asked for; empty when it was asked for by id and has no name. */
  readonly alias: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly startedAt: number;
  /** When the runner ends it. */
  readonly endAt: number;
  readonly cpuCount: number;
  /** MiB. */
  readonly memoryMb: number;
  /** MiB. */
  readonly diskSizeMb: number;
  readonly envdVersion: string;
  readonly network: NetworkRecord;
  readonly lifecycle: { readonly autoResume: boolean; readonly onTimeout: 'kill' | 'pause' };
}

/** Why it ended. `lost`: the runner did not know it any more when the two compared their lists. */
export type SandboxEndCause = 'killed' | 'timeout' | 'failed' | 'lost';

export type SandboxRecord =
  | (SandboxFacts & { readonly state: 'running' })
  | (SandboxFacts & { readonly state: 'ended'; readonly endedAt: number; readonly cause: SandboxEndCause });
