import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Emit } from '../kernel.ts';
import { MarkedStream } from './marked-stream.ts';

/** A new mark: text that code cannot guess, so only the kernel can write it. */
export const createMark = (): string => `\u001e${randomUUID()}\u001e`;

/** Standard output and standard error of a kernel that ends the output of each code with a mark in both. */
export class MarkedOutputs {
  readonly #streams: Readonly<Record<'stdout' | 'stderr', MarkedStream>>;

  constructor(stdout: Readable, stderr: Readable) {
    this.#streams = { stdout: new MarkedStream(stdout), stderr: new MarkedStream(stderr) };
  }

  /** Emits both texts; resolves when the mark has come in both. */
  async readUntil(mark: string, emit: Emit): Promise<void> {
    await Promise.all(
      (['stdout', 'stderr'] as const).map(
        async (type) => await this.#streams[type].readUntil(mark, (text) => emit({ type, text })),
      ),
    );
  }

  /** Ends the wait of `readUntil` without the marks. */
  giveUp(): void {
    this.#streams.stdout.giveUp();
    this.#streams.stderr.giveUp();
  }
}
