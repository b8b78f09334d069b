import type { ApiKeyRecords } from './api-keys.ts';
import type { AuditRecords } from './audit.ts';
import type { BlobRootKeyRecords } from './blob-root-keys.ts';
import type { BucketRecords } from './buckets.ts';
import type { BuildFileRecords } from './build-files.ts';
import type { BuildRecords } from './builds.ts';
import type { ConnectionRecords } from './connections.ts';
import type { EventRecords } from './events.ts';
import type { FunctionRecords } from './functions.ts';
import type { IdentityKeyRecords } from './identity-keys.ts';
import type { IdempotencyRecords } from './idempotency.ts';
import type { KeyringRecords } from './keyring.ts';
import type { KvRecords } from './kv.ts';
import type { QuotaRecords } from './quotas.ts';
import type { MembershipRecords } from './memberships.ts';
import type { PersonalTokenRecords } from './personal-tokens.ts';
import type { SandboxRecords } from './sandboxes.ts';
import type { SigningKeyRecords } from './signing-keys.ts';
import type { SealingRecords } from './sealing.ts';
import type { SecretRecords } from './secrets.ts';
import type { SessionRecords } from './sessions.ts';
import type { SnapshotRecords } from './snapshots.ts';
import type { SshKeyRecords } from './ssh-keys.ts';
import type { TeamRecords } from './teams.ts';
import type { TemplateRecords } from './templates.ts';
import type { UsedNonceRecords } from './used-nonces.ts';
import type { UserRecords } from './users.ts';
import type { VolumeRecords } from './volumes.ts';
import type { DeliveryRecords, WebhookRecords } from './webhooks.ts';

/**
 * The persistent data of the control plane: who exists, who owns what, and what happened to it. Every time is in
 * milliseconds since the Unix epoch. All methods are asynchronous so that a database on another machine can implement
 * them.
 */
export interface Records extends AsyncDisposable {
  readonly teams: TeamRecords;
  readonly apiKeys: ApiKeyRecords;
  readonly sandboxes: SandboxRecords;
  readonly snapshots: SnapshotRecords;
  readonly templates: TemplateRecords;
  readonly builds: BuildRecords;
  readonly buildFiles: BuildFileRecords;
  readonly events: EventRecords;
  readonly webhooks: WebhookRecords;
  readonly deliveries: DeliveryRecords;
  readonly functions: FunctionRecords;
  readonly kv: KvRecords;
  readonly signingKeys: SigningKeyRecords;
  readonly usedNonces: UsedNonceRecords;
  readonly keyring: KeyringRecords;
  readonly sealing: SealingRecords;
  readonly blobRootKeys: BlobRootKeyRecords;
  readonly secrets: SecretRecords;
  readonly audit: AuditRecords;
  readonly connections: ConnectionRecords;
  readonly identityKeys: IdentityKeyRecords;
  readonly quotas: QuotaRecords;
  readonly idempotency: IdempotencyRecords;
  readonly users: UserRecords;
  readonly memberships: MembershipRecords;
  readonly sessions: SessionRecords;
  readonly personalTokens: PersonalTokenRecords;
  readonly sshKeys: SshKeyRecords;
  readonly volumes: VolumeRecords;
  readonly buckets: BucketRecords;
}
