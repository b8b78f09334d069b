import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ProcessConfig, ProcessEventSchema } from '@soulbox/contract/process';
import type { LogPolicy, OutputLog } from '../output-log/output-log.ts';
import type { ExitStatus } from '../sys/exit-status.ts';
import type { TerminalSize } from '../sys/pseudo-terminal.ts';
import type { InputWriter } from './input-writer.ts';
import type { OutputHub } from './output-hub.ts';
import type { SequencedInput } from './sequenced-input.ts';

export type ProcessEventInit = MessageInitShape<typeof ProcessEventSchema>;

/** The protocol that started a process: process.Process or soulbox.process.v1. */
export type ProcessOrigin = 'e2b' | 'soulbox';

/** What envd did that ended a process. `own`: nothing. */
export type ExitCause = 'own' | 'deadline' | 'log-full';

/** What a process is to be, in whichever protocol it was requested. */
export interface ProcessSpec {
  /** Undefined: chosen here. */
  readonly id: string | undefined;
  readonly origin: ProcessOrigin;
  /** Distinguishes requests with the same id. */
  readonly digest: string;
  readonly config: ProcessConfig;
  /** Undefined: pipes instead of a terminal. */
  readonly terminal: TerminalSize | undefined;
  readonly hasInput: boolean;
  readonly tag: string | undefined;
  readonly log: { readonly maxBytes: number; readonly policy: LogPolicy; readonly usesDisk: boolean };
  /** How long exit and log are kept after the end. */
  readonly keepMs: number;
}

/** A process started through envd. It leads its own session and process group. */
export interface ManagedProcess {
  /** Unique within the sandbox, unlike the pid and the tag. */
  readonly id: string;
  readonly spec: ProcessSpec;
  readonly pid: number;
  readonly config: ProcessConfig;
  readonly tag: string | undefined;
  readonly userName: string;
  readonly startedAtMs: number;
  /** The output and the end event, for the listeners of process.Process. */
  readonly output: OutputHub<ProcessEventInit>;
  /** The output, for everyone who comes later. */
  readonly log: OutputLog;
  readonly input: ProcessInputTarget;
  /** What has killed it, if envd has. */
  cause: ExitCause;
  /** The last event. Set when the process and its output have ended. */
  endEvent: ProcessEventInit | undefined;
  /** Set at the same time. */
  ended: { readonly status: ExitStatus; readonly endedAtMs: number } | undefined;
}

/** The input of a process. */
export type ProcessInputTarget =
  | { readonly kind: 'none' }
  | { readonly kind: 'stdin'; readonly writer: InputWriter; readonly sequenced: SequencedInput }
  | {
      readonly kind: 'pty';
      readonly writer: InputWriter;
      readonly sequenced: SequencedInput;
      readonly resize: (size: TerminalSize) => void;
    };
