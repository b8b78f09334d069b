export { createBackup } from './create.ts';
export type { StagedPart } from './create.ts';
export type { Backup } from './manifest.ts';
export { restoreBackup } from './restore.ts';
