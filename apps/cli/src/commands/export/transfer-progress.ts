import { createProgress } from '../../output/progress.ts';

const mib = 1024 * 1024;
const stepMs = 1000;

/** Passes the bytes on and shows on standard error how many there were. Elsewhere than on a terminal, one line. */
export async function* withProgress(label: string, pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  using progress = createProgress(label);
  let bytes = 0;
  let shownAt = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (shownAt === 0 || (process.stderr.isTTY && Date.now() - shownAt >= stepMs)) {
      shownAt = Date.now();
      progress.step(`${(bytes / mib).toFixed(1)} MiB`);
    }
    yield piece;
  }
  if (!process.stderr.isTTY) progress.step(`${(bytes / mib).toFixed(1)} MiB`);
}
