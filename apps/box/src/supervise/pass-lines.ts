import type { Readable } from 'node:stream';
import type { RootLogger } from '@soulbox/base';

/**
 * Our own lines are never longer. The rest of a longer line is dropped: a compromised part must not fill the memory of
 * this process.
 */
const lineMaxBytes = 256 * 1024;

/**
 * Passes the output of a part to the log. Lines of its logger are passed unchanged. Any other text, such as a message
 * of Node when a process dies, becomes a line that names the part. With `names`, lines of a logger must name one of
 * them, so that a compromised part cannot imitate the lines of another.
 */
export function passLines(
  stream: Readable,
  {
    part,
    names,
    logger,
  }: { readonly part: string; readonly names?: readonly string[] | undefined; readonly logger: RootLogger },
): void {
  const isOwn = (line: string): boolean =>
    /^\{"level":\d+,/.test(line) && (names === undefined || names.includes(partOf(line) ?? ''));
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  const add = (piece: Buffer): void => {
    const kept = piece.subarray(0, Math.max(0, lineMaxBytes - waitingBytes));
    if (kept.length > 0) waiting.push(kept);
    waitingBytes += piece.length;
  };
  const finish = (): void => {
    const line = Buffer.concat(waiting).toString('utf8').trimEnd();
    const isWhole = waitingBytes <= lineMaxBytes;
    waiting = [];
    waitingBytes = 0;
    if (line === '') return;
    if (isWhole && isOwn(line)) logger.writeLine(`${line}\n`);
    else logger.warn({ part, text: line }, 'a process of the server printed');
  };
  stream.on('data', (chunk: Buffer) => {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      add(chunk.subarray(start, end));
      finish();
      start = end + 1;
    }
    add(chunk.subarray(start));
  });
  stream.on('end', finish);
  stream.on('error', () => undefined);
}

/** Reads the name as readers of the log do: duplicate keys and escapes have the same effect as for them. */
function partOf(line: string): string | undefined {
  try {
    const { part } = JSON.parse(line) as { part?: unknown };
    return typeof part === 'string' ? part : undefined;
  } catch {
    return undefined;
  }
}
