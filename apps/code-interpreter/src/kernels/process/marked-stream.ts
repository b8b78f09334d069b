import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

export interface MarkedStream {
  /**
   * Passes text on until `mark`, without the mark, and then resolves. Text that arrives while nobody reads is dropped.
   */
  readUntil(mark: string, take: (text: string) => Promise<void> | undefined): Promise<void>;
  /** Stops `readUntil`: the kernel has ended, or has written the mark elsewhere. */
  giveUp(): void;
}

/**
 * The text of a kernel's output pipe. When the code is done the kernel writes a mark that nobody can guess. The text
 * before the mark is therefore known to belong to that code.
 */
export function createMarkedStream(stream: Readable): MarkedStream {
  const decoder = new StringDecoder('utf8');
  let take: ((text: string) => Promise<void> | undefined) | undefined;
  let mark = '';
  let found: (() => void) | undefined;
  let held = '';

  const emit = (text: string): void => {
    if (text === '') return;
    const caughtUp = take?.(text);
    if (caughtUp === undefined) return;
    // A full pipe blocks the writer.
    stream.pause();
    void caughtUp.finally(() => stream.resume());
  };
  const finish = (): void => {
    if (held !== '') emit(held);
    held = '';
    take = undefined;
    found?.();
    found = undefined;
  };
  const read = (text: string): void => {
    if (take === undefined) return;
    const all = held + text;
    const at = all.indexOf(mark);
    if (at >= 0) {
      held = '';
      emit(all.slice(0, at));
      finish();
      return;
    }
    const kept = lengthOfBeginning(all, mark);
    held = all.slice(all.length - kept);
    emit(all.slice(0, all.length - kept));
  };

  stream.on('data', (chunk: Buffer) => read(decoder.write(chunk)));
  stream.on('error', () => undefined);
  return {
    async readUntil(wanted, to) {
      [mark, take] = [wanted, to];
      await new Promise<void>((resolve) => (found = resolve));
    },
    giveUp: finish,
  };
}

/** The number of characters at the end of `text` that are the start of `mark`. */
function lengthOfBeginning(text: string, mark: string): number {
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length--)
    if (mark.startsWith(text.slice(text.length - length))) return length;
  return 0;
}
