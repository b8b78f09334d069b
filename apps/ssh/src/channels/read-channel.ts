import type { Readable } from 'node:stream';
import { readAtOnceBytes } from '../limits.ts';

/**
 * Gives what a channel has received, in pieces of limited size, to `take`, which is awaited. Resolves with
 * whether the sender has ended, and not just vanished.
 */
export async function readChannel(channel: Readable, take: (bytes: Buffer) => Promise<void>): Promise<boolean> {
  const seen = { end: false, close: false };
  let wake = (): void => undefined;
  channel.on('readable', () => wake());
  for (const event of ['end', 'close'] as const)
    channel.on(event, () => {
      seen[event] = true;
      wake();
    });
  for (;;) {
    const bytes = channel.read(Math.min(channel.readableLength, readAtOnceBytes) || undefined) as Buffer | null;
    if (bytes !== null) await take(bytes);
    else if (channel.readableEnded || seen.end) return true;
    else if (seen.close) return false;
    else await new Promise<void>((resolve) => (wake = resolve));
  }
}
