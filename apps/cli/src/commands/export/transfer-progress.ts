import { createMeter } from '../../output/meter.ts';
import { createProgress } from '../../output/progress.ts';
import { openWait } from '../../output/wait.ts';

const mib = 1024 * 1024;

/** Passes the bytes on and shows on standard error how many there were. Elsewhere than on a terminal, two lines. */
export async function* withProgress(
  label: string,
  pieces: AsyncIterable<Uint8Array>,
  totalBytes?: number,
): AsyncGenerator<Uint8Array> {
  using preparing = openWait(`Preparing the ${label}`, { isTold: false });
  using meter = createMeter(label, { totalBytes });
  const progress = process.stderr.isTTY ? undefined : createProgress(label);
  let bytes = 0;
  for await (const piece of pieces) {
    if (bytes === 0) preparing[Symbol.dispose]();
    if (bytes === 0) progress?.step(`${(piece.length / mib).toFixed(1)} MiB`);
    bytes += piece.length;
    meter.show(bytes);
    yield piece;
  }
  progress?.step(`${(bytes / mib).toFixed(1)} MiB`);
}
