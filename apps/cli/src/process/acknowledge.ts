import type { ProcessClient } from './reach-processes.ts';

/** A sixteenth of a log, so that a program does not wait for its output to be acknowledged. */
const everyBytes = 1024n * 1024n;

/** Tells envd which output is stored or shown, so that its log has room for more. */
export interface Acknowledger {
  /** Output before the position is no longer needed. */
  report(position: bigint): void;
}

export function createAcknowledger(
  client: Pick<ProcessClient, 'acknowledge'>,
  processId: string,
  signal: AbortSignal,
): Acknowledger {
  let reported = 0n;
  let sent = 0n;
  let isSending = false;
  const send = async (): Promise<void> => {
    if (isSending) return;
    isSending = true;
    while (reported - sent >= everyBytes && !signal.aborted) {
      const position = reported;
      // The next one says the same and more.
      await client.acknowledge({ processId, position }, { signal }).catch(() => undefined);
      sent = position;
    }
    isSending = false;
  };
  return {
    report(position) {
      if (position > reported) reported = position;
      void send();
    },
  };
}
