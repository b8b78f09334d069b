import type { Secret } from '@soulbox/base';
import type { FunctionKind, FunctionLogLine } from './functions.ts';

/** Where the gateway sends requests for a function. */
export interface FunctionRoute {
  readonly sandboxId: string;
  readonly port: number;
}

/** The gateway's way from a function's name to the sandbox that answers for it. */
export interface FunctionRouter {
  /**
   * The function's sandbox, running or asleep; one is started when there is none. Throws `function_not_found`, `function_broken`, or why none
   * can be started.
   */
  open(name: string): Promise<FunctionRoute>;
}

export interface FunctionLimitsRequest {
  readonly requestTimeoutMs?: number | undefined;
  readonly memoryMb?: number | undefined;
  readonly maxBodyBytes?: number | undefined;
  readonly idleSeconds?: number | undefined;
}

/** What is absent stays as it is; of a new function it gets the default. */
export interface DeployRequest {
  readonly source: string;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Added to those there are. */
  readonly secrets?: Readonly<Record<string, Secret>> | undefined;
  /** Names of namespaces by binding. */
  readonly kvBindings?: Readonly<Record<string, string>> | undefined;
  readonly limits?: FunctionLimitsRequest | undefined;
  readonly compatibilityDate?: string | undefined;
  readonly compatibilityFlags?: readonly string[] | undefined;
}

export interface FunctionInfo {
  readonly name: string;
  readonly kind: FunctionKind;
  readonly activeVersion: number;
  readonly environment: Readonly<Record<string, string>>;
  /** Their values are shown to nobody. */
  readonly secretNames: readonly string[];
  readonly kvBindings: Readonly<Record<string, string>>;
  readonly limits: Required<{ [K in keyof FunctionLimitsRequest]: number }>;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  /** Of the sandbox that serves it; undefined until the next request starts one. */
  readonly sandboxId: string | undefined;
  readonly state: 'running' | 'asleep' | 'none';
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface FunctionVersionInfo {
  readonly number: number;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly createdAt: number;
  readonly active: boolean;
}

export interface FunctionCall {
  readonly method: string;
  /** With query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface FunctionAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

export interface KvNamespaceInfo {
  readonly name: string;
  readonly keyCount: number;
  readonly sizeBytes: number;
  readonly createdAt: number;
}

/** A line as it is kept on the host; `cursor` counts over all sandboxes of the function. */
export interface FunctionLogEntry extends Omit<FunctionLogLine, 'seq'> {
  readonly cursor: number;
}

/** What the control plane asks of the part that owns functions. Every method throws `function_not_found` for another team's. */
export interface FunctionService {
  /** Throws `name_taken`, `limit_exceeded`, `function_broken`; then nothing has changed. */
  create(teamId: string, name: string, kind: FunctionKind, request: DeployRequest): Promise<FunctionInfo>;
  /** A new version, active when this resolves. Throws as `create`; then the old one goes on. */
  deploy(teamId: string, name: string, request: DeployRequest): Promise<FunctionInfo>;
  /** Back to a version; the one before the active one when none is given. */
  rollback(teamId: string, name: string, version: number | undefined): Promise<FunctionInfo>;
  list(teamId: string): Promise<FunctionInfo[]>;
  get(teamId: string, name: string): Promise<FunctionInfo>;
  remove(teamId: string, name: string): Promise<void>;
  listVersions(teamId: string, name: string): Promise<FunctionVersionInfo[]>;
  setSecrets(teamId: string, name: string, secrets: Readonly<Record<string, Secret>>): Promise<FunctionInfo>;
  /** Throws `secret_not_found`. */
  removeSecret(teamId: string, name: string, secret: string): Promise<FunctionInfo>;
  invoke(teamId: string, name: string, call: FunctionCall): Promise<FunctionAnswer>;
  readLog(teamId: string, name: string, after: number, limit: number): Promise<FunctionLogEntry[]>;
  listNamespaces(teamId: string): Promise<KvNamespaceInfo[]>;
  /** Throws `namespace_not_found`. */
  removeNamespace(teamId: string, name: string): Promise<void>;
}
