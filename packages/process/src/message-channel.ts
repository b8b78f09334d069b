import type { Duplex } from 'node:stream';

/** Messages between a supervisor and a part: JSON, one a line, over a socket that both have from the start. */
export interface MessageChannel {
  /** Does nothing once the other end is gone. */
  send(message: unknown): void;
}

export interface MessageListener {
  /** What is no JSON arrives as undefined. */
  onMessage(message: unknown): void;
  /** Called once. `isTooLong`: the other end wrote more than `messageMaxBytes` without an end; nothing more is read. */
  onEnd(isTooLong: boolean): void;
}

/**
 * Node's own channel (`child.send`) keeps whatever a child writes until its line ends. A part that was taken over could fill its supervisor's
 * memory that way, which is root. Here `messageMaxBytes` bounds it.
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
