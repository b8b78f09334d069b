import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Emit } from '../kernel.ts';
import { MarkedStream } from './marked-stream.ts';

/** Creates a new mark. Code cannot guess it, so only the kernel can write it. */
export const createMark = (): string => `\u001e${randomUUID()}\u001e`;

/** Standard output and standard error of a kernel. The kernel writes a mark to both at the end of each execution. */
export class MarkedOutputs {
  readonly #streams: Readonly<Record<'stdout' | 'stderr', MarkedStream>>;

  constructor(stdout: Readable, stderr: Readable) {
    this.#streams = { stdout: new MarkedStream(stdout), stderr: new MarkedStream(stderr) };
  }

  /** Emits the text of both; resolves when the mark has arrived in both. */
  async readUntil(mark: string, emit: Emit): Promise<void> {
    await Promise.all(
      (['stdout', 'stderr'] as const).map(
        async (type) => await this.#streams[type].readUntil(mark, (text) => emit({ type, text })),
      ),
    );
  }

  /** Stops `readUntil` before the marks have arrived. */
  giveUp(): void {
    this.#streams.stdout.giveUp();
    this.#streams.stderr.giveUp();
  }
}
