import type { Output } from '../kernel.ts';
import type { JupyterMessage } from './message.ts';
import { outputFromMessage } from './output.ts';

export type Channel = 'shell' | 'iopub';

/**
 * A kernel publishes `idle` right after its reply. A flooded kernel may have lost that message, because it does not
 * wait for readers.
 */
const idleGraceMs = 2000;

/** Decides which messages of one execution are shown and when the execution has ended. */
export class ExecutionProgress {
  #hasFailed = false;
  #hasReplied = false;
  #isIdle = false;

  /**
   * Takes the next message and returns the output to show. An error is shown once, although the kernel reports it
   * twice.
   */
  take(channel: Channel, message: JupyterMessage): Output | undefined {
    if (channel === 'shell' && message.type === 'execute_reply') this.#hasReplied = true;
    if (message.type === 'status' && message.content['execution_state'] === 'idle') this.#isIdle = true;
    const output = outputFromMessage(message);
    if (output?.type !== 'error') return output;
    const isRepeated = this.#hasFailed;
    this.#hasFailed = true;
    return isRepeated ? undefined : output;
  }

  /** How long to wait for another message before the execution counts as ended; undefined while the kernel works. */
  get waitMs(): number | undefined {
    if (!this.#hasReplied) return undefined;
    return this.#isIdle ? 0 : idleGraceMs;
  }
}
