/** Reads from a pipe, a terminal or another descriptor that the kernel can poll, without a waiting thread. */
export interface DescriptorReader {
  /** The next bytes, at most 64 KiB. Undefined at the end, and after `cancel`. */
  read(): Promise<Uint8Array | undefined>;
  /** Ends a pending read. The descriptor stays open and belongs to the caller. */
  cancel(): void;
}

/** The runtime polls the descriptor and reads at most one chunk ahead, so a slow reader slows the writer down. */
export function readDescriptor(fd: number): DescriptorReader {
  const reader = Bun.file(fd).stream().getReader();
  return {
    async read() {
      try {
        const { done, value } = await reader.read();
        return done ? undefined : value;
      } catch {
        // EIO: the last program on a terminal has ended.
        return undefined;
      }
    },
    cancel: () => void reader.cancel().catch(() => undefined),
  };
}
