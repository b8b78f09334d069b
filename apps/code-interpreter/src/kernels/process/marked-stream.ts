import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

/**
 * The text of a kernel's output pipe. When the code is done the kernel writes a mark that nobody can guess. The text
 * before the mark is therefore known to belong to that code.
 */
export class MarkedStream {
  readonly #stream: Readable;
  readonly #decoder = new StringDecoder('utf8');
  #take: ((text: string) => Promise<void> | undefined) | undefined;
  #mark = '';
  #found: (() => void) | undefined;
  #held = '';

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => this.#read(this.#decoder.write(chunk)));
    stream.on('error', () => undefined);
  }

  /**
   * Passes text on until `mark`, without the mark, and then resolves. Text that arrives while nobody reads is dropped.
   */
  async readUntil(mark: string, take: (text: string) => Promise<void> | undefined): Promise<void> {
    [this.#mark, this.#take] = [mark, take];
    await new Promise<void>((resolve) => (this.#found = resolve));
  }

  /** Stops `readUntil`: the kernel has ended, or has written the mark elsewhere. */
  giveUp(): void {
    this.#finish();
  }

  #read(text: string): void {
    if (this.#take === undefined) return;
    const all = this.#held + text;
    const at = all.indexOf(this.#mark);
    if (at >= 0) {
      this.#held = '';
      this.#emit(all.slice(0, at));
      this.#finish();
      return;
    }
    const kept = lengthOfBeginning(all, this.#mark);
    this.#held = all.slice(all.length - kept);
    this.#emit(all.slice(0, all.length - kept));
  }

  #emit(text: string): void {
    if (text === '') return;
    const caughtUp = this.#take?.(text);
    if (caughtUp === undefined) return;
    // A full pipe blocks the writer.
    this.#stream.pause();
    void caughtUp.finally(() => this.#stream.resume());
  }

  #finish(): void {
    if (this.#held !== '') this.#emit(this.#held);
    this.#held = '';
    this.#take = undefined;
    this.#found?.();
    this.#found = undefined;
  }
}

/** The number of characters at the end of `text` that are the start of `mark`. */
function lengthOfBeginning(text: string, mark: string): number {
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length--)
    if (mark.startsWith(text.slice(text.length - length))) return length;
  return 0;
}
