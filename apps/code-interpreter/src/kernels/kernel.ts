import type { Bundle } from './bundle.ts';

/** Facts about code that its kernel needs beside the text. */
export interface Dialect {
  /** Types are removed first. Only set for the JavaScript kernel. */
  readonly isTypescript: boolean;
}

export type Output =
  /** The kernel has accepted the code, as its n-th. */
  | { readonly type: 'started'; readonly executionCount: number }
  | { readonly type: 'stdout' | 'stderr'; readonly text: string }
  /** `isMain`: the value of the code itself, not a value that it displayed. */
  | { readonly type: 'result'; readonly isMain: boolean; readonly bundle: Bundle }
  | { readonly type: 'error'; readonly name: string; readonly value: string; readonly traceback: string };

/**
 * Takes an output. A promise means that the reader is behind: the kernel's program must be suspended until it resolves.
 */
export type Emit = (output: Output) => Promise<void> | undefined;

/** Names and new values; null removes a variable. */
export type Variables = Readonly<Record<string, string | null>>;

/**
 * A process that runs code of one language and keeps its state between executions. It handles one call at a time; the
 * caller must queue the others. Disposing it kills the whole process group.
 */
export interface Kernel extends AsyncDisposable {
  /** Resolves when the code has ended, with or without an error. Rejects only with KernelEnded. */
  execute(code: string, emit: Emit, dialect: Dialect): Promise<void>;
  /** Sets environment variables for later code, by the means of the language. */
  setVariables(variables: Variables): Promise<void>;
  /** Interrupts running code; `execute` then ends with an error. Does nothing when no code runs. */
  interrupt(): void;
  /** Resolves when the process has ended, with a description of how. */
  readonly ended: Promise<string>;
}

/** The kernel's process ended during a call. */
export class KernelEnded extends Error {}

export interface KernelOptions {
  readonly cwd: string;
  /** Environment variables that are set from the start. */
  readonly variables: Readonly<Record<string, string>>;
}
