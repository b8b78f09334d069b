/**
 * Name of the file with the records, in the folder of the control plane. A link with the same name is in the data
 * folder. Data on disk: a change needs a migration.
 */
export const recordsFileName = 'records.sqlite';
