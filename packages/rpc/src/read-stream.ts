import { fromBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { openCaller } from './caller.ts';
import type { CallFrame } from './frame.ts';
import { streamAhead } from './limits.ts';

/**
 * The messages of one stream, over a connection of its own: a reader that takes its time makes the kernel hold back the
 * other process, and nobody else. Ends with the reason of `signal` when that is aborted.
 */
export async function* readStream<Output extends DescMessage>(
  path: string,
  type: Output,
  frame: CallFrame,
  signal: AbortSignal,
): AsyncGenerator<MessageShape<Output>> {
  signal.throwIfAborted();
  const waiting: Uint8Array[] = [];
  let end: { readonly error?: Error } | undefined;
  let wake = (): void => undefined;
  const caller = openCaller(path);
  // Closes the connection at once: a reader that has left its loop never comes back to the end of this function.
  const finish = (error?: Error): void => {
    end ??= error === undefined ? {} : { error };
    caller.close();
    wake();
  };
  const abort = (): void => finish(signal.reason as Error);
  signal.addEventListener('abort', abort);
  caller.call(frame, {
    onMessage(bytes) {
      waiting.push(bytes);
      if (waiting.length >= streamAhead) caller.pause();
      wake();
    },
    onEnd: () => finish(),
    onError: finish,
  });
  try {
    while (!signal.aborted) {
      const bytes = waiting.shift();
      if (bytes !== undefined) {
        if (waiting.length === 0) caller.resume();
        yield fromBinary(type, bytes);
      } else if (end === undefined) await new Promise<void>((resolve) => (wake = resolve));
      else if (end.error === undefined) return;
      else throw end.error;
    }
    signal.throwIfAborted();
  } finally {
    signal.removeEventListener('abort', abort);
    caller.close();
  }
}
