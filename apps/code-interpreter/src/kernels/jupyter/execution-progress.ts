import type { Output } from '../kernel.ts';
import type { JupyterMessage } from './message.ts';
import { outputFromMessage } from './output.ts';

export type Channel = 'shell' | 'iopub';

/**
 * A kernel publishes `idle` right after its reply. A flooded kernel may have lost that message, because it does not
 * wait for readers.
 */
const idleGraceMs = 2000;

export interface ExecutionProgress {
  /**
   * Takes the next message and returns the output to show. An error is shown once, although the kernel reports it
   * twice.
   */
  take(channel: Channel, message: JupyterMessage): Output | undefined;
  /** How long to wait for another message before the execution counts as ended; undefined while the kernel works. */
  readonly waitMs: number | undefined;
}

/** Decides which messages of one execution are shown and when the execution has ended. */
export function createExecutionProgress(): ExecutionProgress {
  let hasFailed = false;
  let hasReplied = false;
  let isIdle = false;
  return {
    take(channel, message) {
      if (channel === 'shell' && message.type === 'execute_reply') hasReplied = true;
      if (message.type === 'status' && message.content['execution_state'] === 'idle') isIdle = true;
      const output = outputFromMessage(message);
      if (output?.type !== 'error') return output;
      const isRepeated = hasFailed;
      hasFailed = true;
      return isRepeated ? undefined : output;
    },
    get waitMs() {
      if (!hasReplied) return undefined;
      return isIdle ? 0 : idleGraceMs;
    },
  };
}
