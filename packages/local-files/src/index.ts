export { listProject, maxProjectBytes } from './list-project.ts';
export { LocalFilesError, localFilesError } from './local-files-error.ts';
export { openBlob, packFiles } from './pack.ts';
export type { PackedFiles } from './pack.ts';
