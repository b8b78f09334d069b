import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Emit } from '../kernel.ts';
import { createMarkedStream } from './marked-stream.ts';

/** Creates a new mark. Code cannot guess it, so only the kernel can write it. */
export const createMark = (): string => `\u001e${randomUUID()}\u001e`;

export interface MarkedOutputs {
  /** Emits the text of both; resolves when the mark has arrived in both. */
  readUntil(mark: string, emit: Emit): Promise<void>;
  /** Stops `readUntil` before the marks have arrived. */
  giveUp(): void;
}

/** Standard output and standard error of a kernel. The kernel writes a mark to both at the end of each execution. */
export function createMarkedOutputs(stdout: Readable, stderr: Readable): MarkedOutputs {
  const streams = { stdout: createMarkedStream(stdout), stderr: createMarkedStream(stderr) };
  return {
    async readUntil(mark, emit) {
      await Promise.all(
        (['stdout', 'stderr'] as const).map(
          async (type) => await streams[type].readUntil(mark, (text) => emit({ type, text })),
        ),
      );
    },
    giveUp() {
      streams.stdout.giveUp();
      streams.stderr.giveUp();
    },
  };
}
