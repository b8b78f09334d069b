/** Of an export file: packages/contract/src/export-file. */
export const exportMediaType = 'application/vnd.soulbox.export';
