/**
 * Flags of Node for each process of the server. By default V8 lets the space for new objects grow to twice 16 MiB, and
 * a process never returns that memory. After loading its code, each process would waste about 30 MiB.
 */
export const nodeFlags: readonly string[] = ['--max-semi-space-size=4'];
