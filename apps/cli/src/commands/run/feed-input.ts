import type { Programs } from '@soulbox/envd-client';

/**
 * Passes standard input on to a process until either ends. A program that takes nothing more is no fault, and neither is one that
 * has ended meanwhile.
 */
export function feedInput(envd: Programs, pid: number): void {
  const feed = async (): Promise<void> => {
    for await (const chunk of process.stdin) await envd.sendInput(pid, chunk as Uint8Array);
    await envd.closeInput(pid);
  };
  feed().catch(() => undefined);
}
