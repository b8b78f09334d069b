/**
 * How Node is started for each process of the server. V8 lets the room for new objects grow to twice 16 MiB, and a process keeps what it
 * once took: some 30 MiB in each after it has loaded its code, for nothing.
 */
export const nodeFlags: readonly string[] = ['--max-semi-space-size=4'];
