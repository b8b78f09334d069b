import { exitCodes } from '../command-line/exit-codes.ts';

const leaving = new Set<() => void>();

/**
 * A reader that closes the pipe early (`soulbox key list | head -1`) is not an error: the program ends, unless a part
 * of it has called `onUnread`.
 */
export function endWhenUnread(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', () => {
      if (leaving.size === 0) process.exit(exitCodes.ok);
      for (const leave of leaving) leave();
    });
}

/**
 * Until it is disposed, `leave` is called when the output is no longer read. The process then does not end by itself.
 */
export function onUnread(leave: () => void): Disposable {
  leaving.add(leave);
  return { [Symbol.dispose]: () => leaving.delete(leave) };
}
