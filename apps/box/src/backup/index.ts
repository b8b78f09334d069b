export { createBackup } from './create.ts';
export type { Backup } from './manifest.ts';
export { refuseHalfRestored, restoreBackup } from './restore.ts';
