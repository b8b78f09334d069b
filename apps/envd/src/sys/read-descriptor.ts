/** Reads from a pipe, a terminal or another descriptor that the kernel can poll, without a thread waiting for it. */
export interface DescriptorReader {
  /** The next bytes, at most 64 KiB; undefined at the end, or after `cancel`. */
  read(): Promise<Uint8Array | undefined>;
  /** Ends a pending read. The descriptor stays open and belongs to the caller. */
  cancel(): void;
}

/** The runtime polls the descriptor and reads one chunk ahead at most, so a slow reader holds the writer back. */
export function readDescriptor(fd: number): DescriptorReader {
  const reader = Bun.file(fd).stream().getReader();
  return {
    async read() {
      try {
        const { done, value } = await reader.read();
        return done ? undefined : value;
      } catch {
        // EIO: the last program on a terminal is gone.
        return undefined;
      }
    },
    cancel: () => void reader.cancel().catch(() => undefined),
  };
}
