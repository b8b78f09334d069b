import { exitCodes } from '../program/exit-codes.ts';

const leaving = new Set<() => void>();

/** A reader that closes the pipe early (`soulbox key list | head -1`) is no fault: the program ends, as far as nobody has more to do. */
export function endWhenUnread(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', () => {
      if (leaving.size === 0) process.exit(exitCodes.ok);
      for (const leave of leaving) leave();
    });
}

/** Until it is disposed, `leave` is called instead of the end of the process when nobody reads the output any more. */
export function onUnread(leave: () => void): Disposable {
  leaving.add(leave);
  return { [Symbol.dispose]: () => leaving.delete(leave) };
}
