import type { TerminalSize } from '../sys/pseudo-terminal.ts';

/**
 * The protocol between the program `sudo` and envd. The program sends one message without content to envd's mailbox,
 * with its standard streams, its working directory and one end of a stream pair. Everything else passes through that
 * pair as lines of JSON: the request; envd's answer, with the master of a terminal if one was requested; signals; the
 * end.
 */
export type Request =
  | { readonly kind: 'check' }
  | {
      readonly kind: 'run';
      readonly target: string;
      /** Searched in PATH of `env`, unless it contains a slash. */
      readonly program: string;
      readonly argv: readonly string[];
      readonly env: Readonly<Record<string, string>>;
      /** Start in the target's home. */
      readonly atHome: boolean;
      /** A new terminal for standard input and output, and also for errors if requested. */
      readonly terminal: (TerminalSize & { readonly forErrors: boolean }) | undefined;
    };

export interface Signal {
  readonly signal: number;
}

export type Answer =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'signaled'; readonly signal: number };

/** The descriptors of the first message, in this order. */
export const descriptorCount = 5;
/** A request contains arguments and variables, of which the kernel accepts up to 2 MiB. */
export const maxLineBytes = 4 * 1024 * 1024;
/** The maximum size of an answer that is received in one read. */
export const maxAnswerBytes = 4096;

/** One sandbox has one envd, but a test has several. The port distinguishes them. */
export function mailboxName(envdPort: number): string {
  return `soulbox-sudo-${envdPort}`;
}

export function encodeLine(value: Request | Signal | Answer): Uint8Array {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}

/** Parses the lines of a stream. Throws for invalid JSON and for lines that are too long. */
export async function* readLines(read: () => Promise<Uint8Array | undefined>): AsyncGenerator {
  let waiting = Buffer.alloc(0);
  for (let chunk = await read(); chunk !== undefined; chunk = await read()) {
    waiting = Buffer.concat([waiting, chunk]);
    for (let end = waiting.indexOf('\n'); end >= 0; end = waiting.indexOf('\n')) {
      yield JSON.parse(waiting.toString('utf8', 0, end));
      waiting = waiting.subarray(end + 1);
    }
    if (waiting.length > maxLineBytes) throw new Error('The line is too long.');
  }
}
