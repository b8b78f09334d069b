import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ProcessConfig, ProcessEventSchema } from '@soulbox/contract/process';
import type { TerminalSize } from '../sys/pseudo-terminal.ts';
import type { InputWriter } from './input-writer.ts';
import type { OutputHub } from './output-hub.ts';

export type ProcessEventInit = MessageInitShape<typeof ProcessEventSchema>;

/** A process started through envd. It leads its own session and process group. */
export interface ManagedProcess {
  readonly pid: number;
  readonly config: ProcessConfig;
  readonly tag: string | undefined;
  /** The output and the end event. */
  readonly output: OutputHub<ProcessEventInit>;
  readonly input: ProcessInputTarget;
  /** The last event. Set when the process and its output have ended. */
  endEvent: ProcessEventInit | undefined;
}

/** The input of a process. */
export type ProcessInputTarget =
  | { readonly kind: 'none' }
  | { readonly kind: 'stdin'; readonly writer: InputWriter }
  | { readonly kind: 'pty'; readonly writer: InputWriter; readonly resize: (size: TerminalSize) => void };
