export { openSqliteRecords } from './records/sqlite/open.ts';
export { createApiKey, ensureDefaultTeam, hashApiKey } from './records/first-start.ts';
export type { ApiKeyMask, ApiKeyRecord, ApiKeyRecords } from './records/api-keys.ts';
export type { TeamRecord, TeamRecords } from './records/teams.ts';
export type { NetworkRecord, SandboxEndCause, SandboxFacts, SandboxRecord } from './records/sandbox-record.ts';
export type { Creation, SandboxListQuery, SandboxPage, SandboxPosition, SandboxRecords } from './records/sandboxes.ts';
export type { Records } from './records/records.ts';
