import type { Language, Permissions, RuntimeName } from '@soulbox/runtimes';

/** A run as it was asked for, checked. */
export interface RunRequest {
  readonly sandboxId: string;
  readonly subject: { readonly kind: 'code' | 'file' | 'project'; readonly value: string };
  /** Of a project. */
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
  /** 0: the sandbox's. */
  readonly memoryMb: number;
  readonly permissions: Permissions;
  readonly install: boolean;
  readonly shareDependencies: boolean;
}
