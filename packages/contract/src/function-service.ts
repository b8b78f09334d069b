import type { Secret } from '@soulbox/base';
import type { FunctionKind, FunctionLogLine } from './functions.ts';

/** The place to which the gateway sends requests for a function. */
export interface FunctionRoute {
  readonly sandboxId: string;
  readonly port: number;
  /**
   * For so long, counted from the moment before the call, the caller may use it again. Nothing else serves the function
   * in this time. 0: for this request only.
   */
  readonly leaseMs: number;
}

/** Finds the sandbox that answers for a function, by the function's name. The gateway uses it. */
export interface FunctionRouter {
  /**
   * Returns the function's sandbox, running or asleep, and starts one if there is none. Throws `function_not_found`,
   * `function_broken`, or the error that prevented the start.
   */
  open(name: string): Promise<FunctionRoute>;
}

export interface FunctionLimitsRequest {
  readonly requestTimeoutMs?: number | undefined;
  readonly memoryMb?: number | undefined;
  readonly maxBodyBytes?: number | undefined;
  readonly idleSeconds?: number | undefined;
}

/** An absent field keeps its value; in a new function it gets the default. */
export interface DeployRequest {
  readonly source: string;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Added to the existing secrets. */
  readonly secrets?: Readonly<Record<string, Secret>> | undefined;
  /** Namespace names by binding. */
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
  /** The values of secrets are never shown. */
  readonly secretNames: readonly string[];
  readonly kvBindings: Readonly<Record<string, string>>;
  readonly limits: Required<{ [K in keyof FunctionLimitsRequest]: number }>;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  /** The sandbox that serves the function. Undefined until the next request starts one. */
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
  /** Includes the query. */
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

/** A log line as the host keeps it. `cursor` counts over all sandboxes of the function. */
export interface FunctionLogEntry extends Omit<FunctionLogLine, 'seq'> {
  readonly cursor: number;
}

/**
 * The interface of the part that owns functions, for the control plane. Every method throws `function_not_found` for a
 * function of another team.
 */
export interface FunctionService {
  /** Throws `name_taken`, `limit_exceeded` or `function_broken`. On an error nothing has changed. */
  create(teamId: string, name: string, kind: FunctionKind, request: DeployRequest): Promise<FunctionInfo>;
  /**
   * Adds a new version, which is active when this resolves. Throws the errors of `create`; then the old version stays
   * active.
   */
  deploy(teamId: string, name: string, request: DeployRequest): Promise<FunctionInfo>;
  /** Returns to a version. Without a version, returns to the one before the active one. */
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
