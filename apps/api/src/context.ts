import { createHmac } from 'node:crypto';
import { measureProcess, Secret } from '@soulbox/base';
import type { Clock, Logger, ProcessFigures, SupervisedProcesses } from '@soulbox/base';
import type { FunctionService } from '@soulbox/contract/function-service';
import type { BlobKeys, Keyring } from '@soulbox/keyring';
import type { OutsidePolicy } from '@soulbox/network/outside';
import type { BlobStore, DiskReserve, Records } from '@soulbox/storage';
import { createKeyUse } from './keys/key-use.ts';
import type { KeyUse } from './keys/key-use.ts';
import { createKeyWatch } from './keys/key-watch.ts';
import type { KeyWatch } from './keys/key-watch.ts';
import { createSignInThrottle } from './keys/sign-in-throttle.ts';
import type { SignInThrottle } from './keys/sign-in-throttle.ts';
import { createTransferSlots } from './quotas/transfer-slots.ts';
import type { TransferSlots } from './quotas/transfer-slots.ts';
import { createWrongKeyBudget } from './keys/wrong-key-budget.ts';
import type { WrongKeyBudget } from './keys/wrong-key-budget.ts';
import { createIdentityTokens } from './identity-tokens/identity-tokens.ts';
import type { IdentityTokens } from './identity-tokens/identity-tokens.ts';
import { createQuotas } from './quotas/quotas.ts';
import type { Quotas } from './quotas/quotas.ts';
import { createPeople } from './people/people.ts';
import type { People } from './people/people.ts';
import { createVolumeTokens } from './signing/volume-tokens.ts';
import type { VolumeTokens } from './signing/volume-tokens.ts';
import type { BucketService } from './bucket-service/bucket-service.ts';
import type { VolumeService } from './volume-service/volume-service.ts';
import { createSigning } from './signing/signing.ts';
import type { Signing } from './signing/signing.ts';
import { createBuilder } from './builder/builder.ts';
import type { Builder } from './builder/builder.ts';
import type { ApiConfig } from './config.ts';
import type { ObjectCacheFigures } from './meters/object-cache-figures.ts';
import { createRequestFailures } from './meters/request-failures.ts';
import type { RequestFailures } from './meters/request-failures.ts';
import { createRequestDurations } from './meters/request-durations.ts';
import type { RequestDurations } from './meters/request-durations.ts';
import { createTeamLogs } from './trail/team-logs.ts';
import type { TeamLogs } from './trail/team-logs.ts';
import { createTrail } from './trail/trail.ts';
import { createWitnessing } from './trail/witnessing.ts';
import type { Witnessing } from './trail/witnessing.ts';
import type { Trail } from './trail/trail.ts';
import { nameActors } from './actor.ts';
import type { Runner } from './runner/client.ts';
import { createTemplateCatalogue } from './runner/template-catalogue.ts';
import type { TemplateCatalogue } from './runner/template-catalogue.ts';

/** What was saved for a backup, or was left out and why. */
export interface StagedPart {
  readonly what: 'sandbox' | 'snapshot' | 'volume';
  readonly id: string;
  readonly leftOut?: string;
}

/**
 * Fills the stage of a backup with the whole state of the server, and reports each sandbox, snapshot and volume. `left`
 * is aborted when the caller stops waiting.
 */
export type StageBackup = (report: (staged: StagedPart) => void, left: AbortSignal) => Promise<void>;

/** What the audit logs need. */
export interface AuditParts {
  /** A folder for each team's log. */
  readonly directory: string;
  /** Signs checkpoints: Ed25519, in PEM. */
  readonly signingKey: Secret;
}

/** Undefined: there is no cache, or its process is away. */
export type ReadObjectCache = () => Promise<ObjectCacheFigures | undefined>;

/** The SSH server, for those who want to connect to it. */
export interface SshServer {
  readonly port: number;
  /** Algorithm and key, as in `known_hosts`. */
  readonly hostKey: string;
}

/** The dependencies of all routes. Created once per server. */
export interface ApiContext {
  readonly config: ApiConfig;
  readonly records: Records;
  /** Encrypts secrets of the records. */
  readonly keyring: Keyring;
  readonly runner: Runner;
  /** Absent: this server has no functions. */
  readonly functions: FunctionService | undefined;
  /** Absent: this server makes no backups. */
  readonly stageBackup: StageBackup | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Archives that were uploaded for builds; the runner reads them too. */
  readonly files: BlobStore;
  /** With which the runner can read them. */
  readonly fileKeys: BlobKeys;
  /** The reserve on the server's disk. */
  readonly reserve: DiskReserve;
  /** The templates in the runner's store. */
  readonly templates: TemplateCatalogue;
  /** Decides which targets webhooks may have. */
  readonly outside: OutsidePolicy;
  /** The token that gives access to the server's own figures. */
  readonly metricsToken: Secret;
  /** The token that changes what only the administrator may change. */
  readonly adminToken: Secret;
  readonly builder: Builder;
  /** Signs and checks URLs. */
  readonly signing: Signing;
  /** Signs and checks tokens for the contents of volumes. */
  readonly volumeTokens: VolumeTokens;
  /** Has the contents of volumes. Absent: this server has no volumes. */
  readonly volumes: VolumeService | undefined;
  /** Reads and writes buckets. Absent: this server has no buckets. */
  readonly bucketService: BucketService | undefined;
  /** Issues workload identities of sandboxes. */
  readonly identityTokens: IdentityTokens;
  /** Sign-in for people. Undefined: no provider is configured. */
  readonly people: People | undefined;
  readonly teamLogs: TeamLogs;
  readonly trail: Trail;
  readonly witnessing: Witnessing;
  readonly keyUse: KeyUse;
  /** Notices that the keys of open streams have ended. */
  readonly keyWatch: KeyWatch;
  readonly signIns: SignInThrottle;
  readonly wrongKeys: WrongKeyBudget;
  readonly quotas: Quotas;
  /** Requests with an idempotency key that are in progress, as `team key`. */
  readonly idempotentUnderway: Set<string>;
  /** For digests of requests, whose bodies may contain secrets that could be guessed from a plain digest. */
  readonly fingerprintKey: Secret;
  readonly durations: RequestDurations;
  readonly failures: RequestFailures;
  /** Resource usage of this process on the host. */
  readonly measureProcess: () => Promise<ProcessFigures>;
  /** The supervisor's latest report about the other processes. */
  readonly supervised: () => SupervisedProcesses;
  /**
   * Ids of the snapshots that a request is creating or deleting at the moment. The comparison with the runner skips
   * them.
   */
  readonly snapshotsUnderway: Set<string>;
  /** Ids of the copies of volumes that requests are making. Others that are not finished are settled. */
  readonly volumeCopiesUnderway: Set<string>;
  /** Exports and imports in progress. */
  readonly transfers: TransferSlots;
  /** Where clients connect by SSH. Undefined: it is off. */
  readonly ssh: SshServer | undefined;
  readonly readObjectCache: ReadObjectCache;
  /** Aborted when the server stops: new requests are refused and loops end. */
  readonly stopping: AbortSignal;
}

export interface ApiParts {
  readonly config: ApiConfig;
  readonly records: Records;
  readonly keyring: Keyring;
  readonly runner: Runner;
  readonly files: BlobStore;
  readonly fileKeys: BlobKeys;
  readonly reserve: DiskReserve;
  readonly droppedLogLines: () => number;
  readonly supervised: () => SupervisedProcesses;
  /** Absent: this server has no functions. */
  readonly functions: FunctionService | undefined;
  readonly volumes: VolumeService | undefined;
  readonly bucketService: BucketService | undefined;
  /** Absent: this server makes no backups. */
  readonly stageBackup: StageBackup | undefined;
  readonly outside: OutsidePolicy;
  readonly metricsToken: Secret;
  /** The token that changes what only the administrator may change. */
  readonly adminToken: Secret;
  readonly signingRoot: Secret;
  /** Of this server at the provider of sign-in. Undefined: it has none. */
  readonly oidcClientSecret: Secret | undefined;
  readonly audit: AuditParts;
  /** Undefined: SSH is off. */
  readonly ssh: SshServer | undefined;
  readonly readObjectCache: ReadObjectCache;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Another purpose of the secret of signed URLs. */
function deriveFingerprintKey(root: Secret): Secret {
  return new Secret(createHmac('sha256', root.reveal()).update('soulbox idempotency fingerprints').digest('base64url'));
}

export function createContext(
  { signingRoot, oidcClientSecret, ...given }: ApiParts,
  stopping: AbortSignal,
): ApiContext {
  const parts = { ...given, logger: nameActors(given.logger) };
  const wrongKeys = createWrongKeyBudget(parts.clock);
  const witnessing = createWitnessing({
    witnesses: parts.config.auditWitnesses,
    quorum: parts.config.auditWitnessQuorum,
    maxMs: parts.config.auditWitnessMaxMinutes * 60_000,
    clock: parts.clock,
    logger: parts.logger,
  });
  const trail = createTrail({
    records: parts.records,
    sealer: parts.keyring,
    isOverdue: (teamId) => witnessing.isOverdue(teamId),
    policy: { jurisdiction: parts.config.auditJurisdiction, minDays: parts.config.auditRetentionDays },
    maxBytes: parts.config.auditLogMb * 1024 * 1024,
    clock: parts.clock,
    logger: parts.logger,
  });
  return {
    ...parts,
    stopping,
    teamLogs: createTeamLogs({ ...parts.audit, records: parts.records }),
    trail,
    witnessing,
    templates: createTemplateCatalogue(parts.runner, parts.clock),
    builder: createBuilder(parts, stopping),
    identityTokens: createIdentityTokens(parts),
    people: createPeople({ ...parts, root: signingRoot, clientSecret: oidcClientSecret }),
    signing: createSigning({ ...parts, wrongKeys, trail, root: signingRoot }),
    volumeTokens: createVolumeTokens({ ...parts, wrongKeys, root: signingRoot }),
    keyUse: createKeyUse(parts.records, parts.clock, parts.logger),
    keyWatch: createKeyWatch(),
    signIns: createSignInThrottle(parts.clock),
    wrongKeys,
    quotas: createQuotas(parts.records, parts.config, parts.clock),
    idempotentUnderway: new Set(),
    fingerprintKey: deriveFingerprintKey(signingRoot),
    durations: createRequestDurations(),
    failures: createRequestFailures(),
    measureProcess: measureProcess(stopping, given.droppedLogLines),
    snapshotsUnderway: new Set(),
    volumeCopiesUnderway: new Set(),
    transfers: createTransferSlots(),
  };
}
