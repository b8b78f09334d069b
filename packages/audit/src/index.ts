export { leafOf, moveLeaf, recordBytesMax, recordOfLeaf } from './record.ts';
export type {
  AuditActor,
  AuditClass,
  AuditDraft,
  AuditFacts,
  AuditPosition,
  AuditRecord,
  AuditResult,
  AuditStage,
  AuditTarget,
} from './record.ts';
export { openAuditSigningKey } from './key-files.ts';
export { addTombstone, readTombstones, tombstonesName } from './tombstones.ts';
export type { Tombstone } from './tombstones.ts';
export { operatorDraft } from './operator-draft.ts';
export type { OperatorDeed } from './operator-draft.ts';
export { readVerifier } from './verifier-source.ts';
export { createRecordId } from './record-id.ts';
export { jurisdictions, retainUntil } from './retention.ts';
export type { Jurisdiction, RetentionPolicy } from './retention.ts';
export { sanitise } from './sanitise.ts';
export { sanitiseText } from './sanitise-text.ts';
export { createSubjectKey, openFields, openSubjectKey, placeOfSubjectKey, pseudonym, sealFields } from './seal.ts';
export type { PersonalFields, StoredSubjectKey, SubjectKey, SubjectKeyPlace, SubjectKeySealer } from './seal.ts';
export { splitSource } from './source.ts';
export { openLog } from './log.ts';
export type { Log, LogOptions } from './log.ts';
export { openLogFiles } from './log-files.ts';
export type { LogFiles } from './log-files.ts';
export { createSequencer } from './sequence.ts';
export type { PendingRecord, PendingRecords, Sequencer } from './sequence.ts';
export { prunableTo } from './prune.ts';
export type { LegalHold } from './prune.ts';
export { parseVerifierKey } from './note.ts';
export { openCheckpoint } from './checkpoint.ts';
export type { SignedCheckpoint } from './checkpoint.ts';
export { decodeBundle, parseTilePath, tileNames, tilePath, tileWidth } from './tiles.ts';
export type { TileName } from './tiles.ts';
export { hashLeaf } from './tree.ts';
export { askWitness } from './witness.ts';
export type { Witness, WitnessAnswer } from './witness.ts';
export { exportFormats, formatRecord } from './export/formats.ts';
export type { ExportFormat, FormatContext } from './export/formats.ts';
