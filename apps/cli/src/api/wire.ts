/** What the API answers, as far as the CLI shows it; apps/api has the schemas. Times are RFC 3339. */
export interface ApiSandbox {
  readonly sandboxID: string;
  readonly templateID: string;
}

export interface ListedApiSandbox extends ApiSandbox {
  readonly alias?: string;
  readonly startedAt: string;
  readonly endAt: string;
  readonly cpuCount: number;
  /** MiB */
  readonly memoryMB: number;
  readonly state: 'running' | 'paused';
  /** Empty for one of an older version. */
  readonly isolation: string;
}

export interface ApiSnapshot {
  readonly snapshotID: string;
  readonly names: readonly string[];
}

/** One copy of a fork: it has come to be, or it has not. */
export type ApiCopy =
  | { readonly sandbox: ApiSandbox; readonly error?: undefined }
  | { readonly sandbox?: undefined; readonly error: { readonly code: number; readonly message: string } };

export interface ApiEvent {
  readonly sequence: number;
  readonly timestamp: string;
  readonly sandboxId: string;
  /** `sandbox.lifecycle.created` and the like. */
  readonly type: string;
  readonly eventData: { readonly cause: string };
}

export interface ApiWebhook {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  readonly enabled: boolean;
  readonly events: readonly string[];
}

export interface ApiTemplate {
  readonly templateID: string;
  readonly names: readonly string[];
  readonly tags: readonly string[];
  readonly public: boolean;
  readonly buildStatus: string;
  readonly cpuCount: number;
  /** MiB */
  readonly memoryMB: number;
  readonly buildCount: number;
  readonly spawnCount: number;
}

export interface ApiTemplateWithBuilds {
  readonly templateID: string;
  readonly names: readonly string[];
  readonly aliases: readonly string[];
  readonly public: boolean;
  readonly builds: readonly {
    readonly buildID: string;
    readonly status: string;
    readonly tags: readonly string[];
    readonly cpuCount: number;
    /** MiB */
    readonly memoryMB: number;
    readonly createdAt: string;
  }[];
}

/** How a run ended; the whole answer has its output too. */
export interface ApiRunEnd {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  readonly memoryExceeded: boolean;
  readonly stdoutTruncated: boolean;
  readonly stderrTruncated: boolean;
}

/** One line of a streamed run. */
export type ApiRunEvent =
  | { readonly type: 'detected' | 'keepalive' }
  | { readonly type: 'log'; readonly text: string }
  | { readonly type: 'started'; readonly pid: number }
  | { readonly type: 'stdout' | 'stderr'; readonly data: string }
  | ({ readonly type: 'result' } & ApiRunEnd)
  | { readonly type: 'error'; readonly code: number; readonly message: string };
