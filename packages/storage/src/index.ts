export { openSqliteRecords } from './records/sqlite/open.ts';
export { backupSqliteRecords, listCopiedVolumes } from './records/sqlite/backup.ts';
export type { CopiedVolume } from './records/sqlite/backup.ts';
export { checkSqliteSchema } from './records/sqlite/check-schema.ts';
export { createApiKey, ensureDefaultTeam } from './records/first-start.ts';
export type { ApiKeyOptions } from './records/first-start.ts';
export type { ApiKeyMask, ApiKeyRecord, ApiKeyRecords } from './records/api-keys.ts';
export type {
  AuditHead,
  AuditHold,
  AuditNote,
  AuditPlace,
  AuditRecords,
  AuditRow,
  AuditSubjectKey,
} from './records/audit.ts';
export { auditLogFull } from './records/audit.ts';
export type { TeamHoldings, TeamRecord, TeamRecords, TeamRecordsUsage } from './records/teams.ts';
export type {
  LifecycleRecord,
  ReportedSandbox,
  NetworkRecord,
  SandboxRecord,
  VolumeMountRecord,
} from './records/sandbox-record.ts';
export type {
  Creation,
  CreationLimits,
  SandboxListQuery,
  SandboxPage,
  SandboxPosition,
  SandboxRecords,
} from './records/sandboxes.ts';
export { lifecycleEventTypes } from './records/lifecycle-event.ts';
export type { Execution, LifecycleEventType } from './records/lifecycle-event.ts';
export type { EventQuery, LifecycleEvent } from './records/events.ts';
export type { SnapshotPosition, SnapshotRecord } from './records/snapshots.ts';
export type { TemplateRecord, TemplateTag } from './records/templates.ts';
export { buildLogLevels } from './records/builds.ts';
export type { BuildLog, BuildLogQuery, BuildReason, BuildRecord } from './records/builds.ts';
export type { Delivery, WebhookChanges, WebhookRecord } from './records/webhooks.ts';
export type { FunctionLimits, FunctionRecord, FunctionVersionRecord } from './records/functions.ts';
export type { ConnectionRecord, ConnectionRecords, Destination } from './records/connections.ts';
export type { BlobRootKeyRecords } from './records/blob-root-keys.ts';
export type { IdentityKeyRecord } from './records/identity-keys.ts';
export type { SigningKeyRecord } from './records/signing-keys.ts';
export type { DataKeyRecord, KeyringRecords, MasterKeyRecord, Rewrapped } from './records/keyring.ts';
export type { KvEntry, KvLimits, KvNamespaceRecord } from './records/kv.ts';
export type { OldFunctionValues, OldSubjectKey, OldWebhookSecret, SealingRecords } from './records/sealing.ts';
export type { SecretPosition, SecretRecord } from './records/secrets.ts';
export { budgetKinds, budgetPeriods } from './records/quotas.ts';
export type {
  BudgetKind,
  BudgetPeriod,
  Consumption,
  KeyBudget,
  LimitValue,
  SandboxCounters,
} from './records/quotas.ts';
export { higherRole } from './records/memberships.ts';
export type { MembershipChange, MembershipRecord } from './records/memberships.ts';
export type { PersonalTokenRecord } from './records/personal-tokens.ts';
export type { SessionRecord } from './records/sessions.ts';
export type { SshKeyOwner, SshKeyRecord } from './records/ssh-keys.ts';
export type { BucketPosition, BucketRecord } from './records/buckets.ts';
export type { VolumeContents, VolumeCreation, VolumeRecord, VolumeRecords } from './records/volumes.ts';
export type { UserRecord } from './records/users.ts';
export type { Records } from './records/records.ts';
export { recordsFileName } from './records/records-file.ts';
export { openDiskReserve } from './reserve/disk-reserve.ts';
export { serviceReserveName } from './reserve/reserve-name.ts';
export type { DiskReserve } from './reserve/disk-reserve.ts';
export { openBlobReader } from './blobs/disk/open-reader.ts';
export { findForeignNames, openBlobWriter, openDiskBlobs } from './blobs/disk/open.ts';
export { holdableBlobs } from './blobs/hold-deletes.ts';
export type { HoldableBlobs } from './blobs/hold-deletes.ts';
export type { BlobInfo, BlobStore, BlobStream, ByteRange } from './blobs/blobs.ts';
