import type { Language, Permissions, RuntimeName } from '@soulbox/runtimes';

/** A validated request for a run. */
export interface RunRequest {
  readonly sandboxId: string;
  readonly subject: { readonly kind: 'code' | 'file' | 'project'; readonly value: string };
  /** The entry of a project. */
  readonly entry: string | undefined;
  readonly language: Language | undefined;
  readonly runtime: RuntimeName | undefined;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Empty: see runner.proto. */
  readonly cwd: string;
  readonly user: string;
  readonly stdin: Uint8Array | 'open' | undefined;
  readonly timeoutMs: number;
  readonly outputLimitBytes: number;
  /** 0: the limit of the sandbox. */
  readonly memoryMb: number;
  readonly permissions: Permissions;
  readonly install: boolean;
  readonly shareDependencies: boolean;
}
