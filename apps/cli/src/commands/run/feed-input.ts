import type { Programs } from '@soulbox/envd-client';

/**
 * Passes standard input to a process until either ends. A program that reads no further, or has already ended, is not
 * an error.
 */
export function feedInput(envd: Programs, pid: number): void {
  const feed = async (): Promise<void> => {
    for await (const chunk of process.stdin) await envd.sendInput(pid, chunk as Uint8Array);
    await envd.closeInput(pid);
  };
  feed().catch(() => undefined);
}
