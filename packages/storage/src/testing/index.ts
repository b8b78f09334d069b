export { migrateBefore } from './migrate-before.ts';
export { newRecordsFile } from './new-records-file.ts';
