/** In the metadata of a function's sandbox, with its name. Keys of this prefix are nobody else's. */
export const ownMetadataPrefix = 'soulbox.';
export const functionMetadataKey = 'soulbox.function';

/** Ports of the supervisor inside a function's sandbox. Only `requests` is for strangers. */
export const functionPorts = {
  /** HTTP for the function itself. */
  requests: 8787,
  /** `GET /health`, `POST /serve`; from the host. */
  control: 8786,
  /** Connections of the host on which the *host* serves HTTP/2: `functionLinkPaths`. */
  link: 8785,
} as const;

/** What the supervisor asks the host for over the link. */
export const functionLinkPaths = {
  /** `<kv><binding>/<key>`, as workerd's key-value binding writes it (spec/SOURCES.md). */
  kv: '/kv/',
  /** POST of JSON lines, each a `FunctionLogLine`. */
  logs: '/logs',
} as const;

export const functionKinds = ['workers', 'edge'] as const;
export type FunctionKind = (typeof functionKinds)[number];

/** What a supervisor serves: the body of its `POST /serve`. */
export interface FunctionSettings {
  readonly kind: FunctionKind;
  /** One module, its imports bundled. */
  readonly source: string;
  /** Environment and secrets. */
  readonly variables: Readonly<Record<string, string>>;
  /** Names under which a Worker finds its key-value namespaces. */
  readonly kvBindings: readonly string[];
  readonly requestTimeoutMs: number;
  /** What the code may use beyond the engine's own memory. */
  readonly memoryMb: number;
  readonly maxBodyBytes: number;
  /** workerd's, YYYY-MM-DD. */
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
}

/** Answer of `POST /serve`. `broken` is for the tenant: what its code said when it was started. */
export type FunctionServed = { readonly state: 'ready' } | { readonly state: 'broken'; readonly message: string };

/** One line of a function's log. */
export interface FunctionLogLine {
  /** From 1 on, in the life of one sandbox. */
  readonly seq: number;
  readonly atMs: number;
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** `console`: the code's. `request`: one per request. `system`: starts, crashes, limits. */
  readonly source: 'console' | 'request' | 'system';
  readonly message: string;
}

/** Characters of a log line; the rest is cut off. */
export const functionLogLineMax = 8 * 1024;
