/**
 * Flags of Node for each process of the server.
 *
 * - By default V8 lets the space for new objects grow to twice 16 MiB, and a process never returns that memory. After
 *   loading its code, each process would waste about 30 MiB.
 * - A process that is quiet collects its garbage itself (return-memory.ts).
 */
export const nodeFlags: readonly string[] = ['--max-semi-space-size=4', '--expose-gc'];

/**
 * Variables for each process of the server. By default each thread of the C library has its own place to allocate from,
 * and what is free in one of them is lost to the others: 8 to 12 MiB of all processes.
 */
export const nodeVariables: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '2' };
