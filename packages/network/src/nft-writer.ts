import { run } from '@soulbox/base';

/** Applies changes to nft. Changes requested during a run, or within one turn of the event loop, share one process. */
export interface NftWriter {
  /** Resolves when the kernel has applied the change as part of one transaction. Throws CommandError if it refuses. */
  apply(text: string): Promise<void>;
}

interface Change {
  readonly text: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export function createNftWriter(write: (text: string) => Promise<unknown> = writeOnce): NftWriter {
  let waiting: Change[] = [];
  let isRunning = false;

  async function drain(): Promise<void> {
    // Waits one turn of the event loop, to collect changes that follow the first one.
    await new Promise((resolve) => setImmediate(resolve));
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      await applyBatch(batch, write);
    }
    isRunning = false;
  }

  return {
    apply: async (text) =>
      await new Promise<void>((resolve, reject) => {
        waiting.push({ text, resolve, reject });
        if (isRunning) return;
        isRunning = true;
        void drain();
      }),
  };
}

/** nft applies all changes or none. After a refusal each change is tried alone, so that only the bad one fails. */
async function applyBatch(batch: readonly Change[], write: (text: string) => Promise<unknown>): Promise<void> {
  try {
    await write(batch.map((change) => change.text).join(''));
    for (const change of batch) change.resolve();
  } catch (error) {
    if (batch.length === 1) batch[0]?.reject(error);
    else for (const change of batch) await applyBatch([change], write);
  }
}

/** Runs one nft transaction given as text. */
export async function writeOnce(text: string): Promise<void> {
  await run('nft', ['-f', '-'], { input: text, timeoutMs: 30_000 });
}
