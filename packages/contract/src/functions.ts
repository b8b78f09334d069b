/**
 * Set in the metadata of a function's sandbox, with the function's name. Keys with this prefix are reserved for
 * SoulBox.
 */
export const ownMetadataPrefix = 'soulbox.';
export const functionMetadataKey = 'soulbox.function';

/** Ports of the supervisor inside a function's sandbox. Only `requests` is public. */
export const functionPorts = {
  /** HTTP for the function itself. */
  requests: 8787,
  /** `GET /health` and `POST /serve`, called by the host. */
  control: 8786,
  /** The host opens these connections, and the *host* serves HTTP/2 on them: `functionLinkPaths`. */
  link: 8785,
} as const;

/** The paths that the supervisor requests from the host over the link. */
export const functionLinkPaths = {
  /** `<kv><binding>/<key>`, as written by workerd's key-value binding (spec/SOURCES.md, functions). */
  kv: '/kv/',
  /** A POST of JSON lines. Each line is a `FunctionLogLine`. */
  logs: '/logs',
} as const;

export const functionKinds = ['workers', 'edge'] as const;
export type FunctionKind = (typeof functionKinds)[number];

/** The function that a supervisor serves: the body of its `POST /serve`. */
export interface FunctionSettings {
  readonly kind: FunctionKind;
  /** One module with its imports bundled. */
  readonly source: string;
  /** Environment variables and secrets. */
  readonly variables: Readonly<Record<string, string>>;
  /** The names by which a Worker accesses its key-value namespaces. */
  readonly kvBindings: readonly string[];
  readonly requestTimeoutMs: number;
  /** The memory that the code may use, in addition to the engine's own. */
  readonly memoryMb: number;
  readonly maxBodyBytes: number;
  /** workerd's compatibility date, YYYY-MM-DD. */
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
}

/** The answer of `POST /serve`. The message of `broken` is for the tenant: the error of its code at the start. */
export type FunctionServed = { readonly state: 'ready' } | { readonly state: 'broken'; readonly message: string };

/** One line of a function's log. */
export interface FunctionLogLine {
  /** Counts from 1 in each sandbox. */
  readonly seq: number;
  readonly atMs: number;
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** `console`: written by the code. `request`: one per request. `system`: starts, crashes, limits. */
  readonly source: 'console' | 'request' | 'system';
  readonly message: string;
}

/** Maximum characters of a log line. The rest is cut off. */
export const functionLogLineMax = 8 * 1024;
