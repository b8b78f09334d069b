export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** A program to run in the sandbox, as an argument array. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  /** Added to envd's global variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** Absent: the user's default folder. */
  readonly cwd?: string;
  /** Absent: envd's default user. Throws `unauthenticated` if there is no user of that name. */
  readonly user?: string;
  /** After this time envd kills the program and `run` throws `deadline_exceeded`. Absent: no limit. */
  readonly timeoutMs?: number;
  /**
   * Sent completely, then standard input is closed. `open`: the caller feeds the program by its pid. Absent: /dev/null.
   */
  readonly stdin?: Uint8Array | 'open';
  /** A terminal instead of standard input, output and errors; its output is `stdout`. `stdin` must be `open`. */
  readonly terminal?: TerminalSize;
  /** Kills the program when aborted. */
  readonly signal?: AbortSignal;
  /** Called with the pid after the program has started. */
  readonly onStart?: (pid: number) => void | Promise<void>;
}

export interface ProgramEnd {
  /** -1 if a signal ended it. */
  readonly exitCode: number;
  /** envd's text, such as `exit status 1` or `signal: killed`. */
  readonly status: string;
}

export type ProgramOutput = (channel: 'stdout' | 'stderr', bytes: Uint8Array) => void | Promise<void>;
