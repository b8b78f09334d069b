export { memoryAccess } from './memory-access.ts';
export type { MemoryAccess } from './memory-access.ts';
