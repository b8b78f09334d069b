export { Sandbox } from './sandboxes/handle.ts';
export type { SandboxHandleOptions } from './sandboxes/handle.ts';
export type {
  MountedBucket,
  MountedVolume,
  SandboxConnectOptions,
  SandboxLifecycle,
  SandboxOptions,
} from './sandboxes/create.ts';
export type {
  SandboxDetail,
  SandboxInfo,
  SandboxListOptions,
  SandboxBucketMount,
  SandboxVolumeMount,
} from './sandboxes/info.ts';
export type { CustomMetrics, CustomMetricsOptions, SandboxMetrics, TimeRange } from './sandboxes/metrics.ts';
export type { PauseOptions } from './sandboxes/pause.ts';
export type { FileUrlOptions } from './sandboxes/file-urls.ts';
export type { ForkOptions, SnapshotInfo, SnapshotListOptions, SnapshotOptions } from './sandboxes/copies.ts';
export type { ExportOptions, ImportedSnapshot, ImportOptions } from './sandboxes/export.ts';
export type {
  EventOptions,
  FollowOptions,
  LogEntry,
  LogOptions,
  MetricHistoryOptions,
  MetricPoint,
  SandboxEvent,
} from './sandboxes/follow.ts';
export type { RunOptions, RunOutcome, RunTarget } from './sandboxes/run.ts';
export type { SignedUrl, SignOptions, SignTarget } from './sandboxes/sign-url.ts';
export { functions } from './team/functions.ts';
export type { FunctionInfo, FunctionLogEntry, FunctionSpec } from './team/functions.ts';
export { secrets } from './team/secrets.ts';
export type { NewSecret, SecretInfo } from './team/secrets.ts';
export { templates } from './team/templates.ts';
export type { TemplateInfo, TemplateSpec, TemplateStep } from './team/templates.ts';
export { buckets } from './team/buckets.ts';
export type { BucketChanges, BucketCredentials, BucketInfo, NewBucket } from './team/buckets.ts';
export { volumes } from './team/volumes.ts';
export type {
  NewVolumeOptions,
  VolumeAttributes,
  VolumeEntry,
  VolumeFolderOptions,
  VolumeInfo,
  VolumeReadOptions,
  VolumeRenameOptions,
  VolumeUsage,
  VolumeWriteOptions,
} from './team/volumes.ts';
export type { LocalFolder, PackedFiles } from './local-folder.ts';
export { SoulBoxError } from './error.ts';
export type { CommandResult, ErrorCode, SoulBoxErrorFacts } from './error.ts';
export type { ConnectionOptions, RequestOptions } from './config.ts';
export type { ConnectionEvent } from './events.ts';
export type { UserOptions } from './envd.ts';
export type { Schemas } from './api.ts';
export type { PageOptions, Paginator } from './pages.ts';
export type { EntryInfo, FileData, Files, FileType, WriteEntry, WriteInfo, WriteOptions } from './files.ts';
export type { FileEvent, WatchHandle, WatchOptions } from './watch.ts';
export type { CommandConnectOptions, CommandOptions, Commands } from './commands.ts';
export type { CommandHandle, OutputCallbacks } from './command-handle.ts';
export type { Pty, PtyConnectOptions, PtyOptions, PtySize } from './pty.ts';
export type {
  AttachFrom,
  LogPolicyName,
  LogSettings,
  OutputEvent,
  Processes,
  ProcessExit,
  ProcessInfo,
  ProcessOptions,
  SandboxProcess,
} from './process-types.ts';
