export { isIntact } from './is-intact.ts';
export {
  dataBytesOf,
  digestsFromRuns,
  exportBlockBytes,
  exportVersion,
  manifestMaxBytes,
  parseManifest,
  placesOf,
  runsFromDigests,
  unusable,
} from './manifest.ts';
export type { BlockPlace, ExportManifest, ExportPart } from './manifest.ts';
export { openExport, readExportHeader } from './read.ts';
export type { ExportBlock, ExportHeader, OpenExport, UnparsedExport } from './read.ts';
export {
  createExportKey,
  exportKeyForm,
  isSigned,
  publicExportKey,
  signatureSchema,
  signManifest,
} from './signature.ts';
export type { ExportSignature } from './signature.ts';
export { writeExport } from './write.ts';
