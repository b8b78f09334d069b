import type { Duplex } from 'node:stream';

/** Messages between a supervisor and a part: one line of JSON each, over a socket that both have from the start. */
export interface MessageChannel {
  /** Does nothing after the other end is gone. */
  send(message: unknown): void;
}

export interface MessageListener {
  /** Invalid JSON arrives as undefined. */
  onMessage(message: unknown): void;
  /**
   * Called once. `isTooLong`: the other end wrote more than `messageMaxBytes` without a line end; nothing more is read.
   */
  onEnd(isTooLong: boolean): void;
}

/**
 * Opens a channel with bounded memory. Node's own channel (`child.send`) buffers everything that a child writes until
 * its line ends. With it, a compromised part could fill the memory of its supervisor, which is root. `messageMaxBytes`
 * prevents that here.
 */
export function openMessageChannel(
  socket: Duplex,
  { messageMaxBytes, listener }: { readonly messageMaxBytes: number; readonly listener: MessageListener },
): MessageChannel {
  let pieces: Buffer[] = [];
  let pendingBytes = 0;
  let hasEnded = false;
  const end = (isTooLong: boolean): void => {
    if (hasEnded) return;
    hasEnded = true;
    pieces = [];
    socket.destroy();
    listener.onEnd(isTooLong);
  };
  const add = (piece: Buffer): boolean => {
    pendingBytes += piece.length;
    if (pendingBytes > messageMaxBytes) return false;
    if (piece.length > 0) pieces.push(piece);
    return true;
  };
  const finish = (): void => {
    const line = Buffer.concat(pieces).toString('utf8');
    pieces = [];
    pendingBytes = 0;
    listener.onMessage(parseLine(line));
  };
  socket.on('data', (chunk: Buffer) => {
    let start = 0;
    for (let stop = chunk.indexOf(10); stop >= 0 && !hasEnded; stop = chunk.indexOf(10, start)) {
      if (!add(chunk.subarray(start, stop))) {
        end(true);
        return;
      }
      finish();
      start = stop + 1;
    }
    if (!hasEnded && !add(chunk.subarray(start))) end(true);
  });
  socket.on('end', () => end(false));
  socket.on('close', () => end(false));
  socket.on('error', () => end(false));
  return {
    send(message) {
      if (!hasEnded) socket.write(`${JSON.stringify(message)}\n`);
    },
  };
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
}
