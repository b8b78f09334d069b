import { createConnection } from 'node:net';
import { Code, ConnectError } from '@connectrpc/connect';
import { decodeError } from './error-payload.ts';
import { createFrameReader, encodeCall, encodeFrame, frameKind } from './frame.ts';
import type { CallFrame, Frame } from './frame.ts';

/** Gets what the other process sends for one call. */
export interface Receiver {
  onMessage(bytes: Uint8Array): void;
  /** After the last message. */
  onEnd(): void;
  /** The call failed. Nothing follows. */
  onError(error: ConnectError): void;
}

/** The calling side of one connection. */
export interface Caller {
  /** Sends a call. Returns its cancellation, after which its receiver gets nothing. */
  call(frame: CallFrame, receiver: Receiver): () => void;
  /** Stops reading until `resume`, so that the other process has to wait. */
  pause(): void;
  resume(): void;
  close(): void;
}

/** Connects to a Unix socket. A connection that cannot be made, or breaks, ends its calls with `Code.Unavailable`. */
export function openCaller(path: string, onClose: () => void = () => undefined): Caller {
  const socket = createConnection({ path });
  const receivers = new Map<number, Receiver>();
  let lastCall = 0;
  let failure: Error | undefined;

  const reader = createFrameReader(({ kind, call, payload }: Frame) => {
    const receiver = receivers.get(call);
    // The call was canceled meanwhile.
    if (receiver === undefined) return;
    if (kind === frameKind.message || kind === frameKind.answer) receiver.onMessage(payload);
    if (kind === frameKind.message) return;
    receivers.delete(call);
    if (kind === frameKind.error) receiver.onError(decodeError(payload));
    else receiver.onEnd();
  });
  socket.on('data', (chunk: Buffer) => {
    try {
      reader.push(chunk);
    } catch (thrown) {
      socket.destroy(thrown as Error);
    }
  });
  socket.once('error', (error) => (failure = error));
  socket.once('close', () => {
    onClose();
    const text = failure?.message ?? 'the process has closed the connection';
    for (const receiver of receivers.values())
      receiver.onError(new ConnectError(text, Code.Unavailable, undefined, undefined, failure));
    receivers.clear();
  });

  return {
    call(frame, receiver) {
      // Numbers that are still in use after a whole round are passed over.
      do lastCall = (lastCall + 1) % 2 ** 32;
      while (receivers.has(lastCall));
      const call = lastCall;
      receivers.set(call, receiver);
      socket.write(encodeCall(call, frame));
      return () => {
        if (receivers.delete(call)) socket.write(encodeFrame(frameKind.cancel, call));
      };
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    close: () => void socket.destroy(),
  };
}
