import type { Bundle } from './bundle.ts';

/** What a kernel is told about code beyond its text. */
export interface Dialect {
  /** Types are taken out first. Only JavaScript's kernel is ever told so. */
  readonly isTypescript: boolean;
}

export type Output =
  /** The kernel took the code; it is its n-th. */
  | { readonly type: 'started'; readonly executionCount: number }
  | { readonly type: 'stdout' | 'stderr'; readonly text: string }
  /** `isMain`: the value of the code itself, not something it displayed. */
  | { readonly type: 'result'; readonly isMain: boolean; readonly bundle: Bundle }
  | { readonly type: 'error'; readonly name: string; readonly value: string; readonly traceback: string };

/** Takes an output. A promise says that its reader is behind: the kernel's program is to be held up until it resolves. */
export type Emit = (output: Output) => Promise<void> | undefined;

/** Names and new values; null takes a variable away. */
export type Variables = Readonly<Record<string, string | null>>;

/**
 * A process that runs code of one language and remembers what ran before. One call at a time: who uses it makes them wait for each
 * other. Disposing it kills its whole process group.
 */
export interface Kernel extends AsyncDisposable {
  /** Resolves when the code has ended, whether well or with an error. Rejects only with KernelEnded. */
  execute(code: string, emit: Emit, dialect: Dialect): Promise<void>;
  /** Sets environment variables by the language's own means, for code that runs from now on. */
  setVariables(variables: Variables): Promise<void>;
  /** Breaks off what runs; `execute` then ends with an error. Does nothing when nothing runs. */
  interrupt(): void;
  /** Resolves when the process is gone, with how it ended. */
  readonly ended: Promise<string>;
}

/** The kernel's process is gone while something was asked of it. */
export class KernelEnded extends Error {}

export interface KernelOptions {
  readonly cwd: string;
  /** Environment variables that are set from the start. */
  readonly variables: Readonly<Record<string, string>>;
}
