import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from '@connectrpc/connect';
import type { Transport } from '@connectrpc/connect';
import { connectBucketService, connectVolumeService, startApi } from '@soulbox/api';
import type { ApiConfig, ReadObjectCache } from '@soulbox/api';
import { openAuditSigningKey, readTombstones, tombstonesName } from '@soulbox/audit';
import { systemClock } from '@soulbox/base';
import type { Logger, RootLogger, Secret, SupervisedProcesses } from '@soulbox/base';
import type { BucketRecords } from '@soulbox/contract/bucket-record-service';
import type { EgressRecords } from '@soulbox/contract/egress-record-service';
import type { SandboxRouter } from '@soulbox/contract';
import type { FunctionRouter } from '@soulbox/contract/function-service';
import type { SandboxUseReporter } from '@soulbox/contract/sandbox-use-service';
import type { SignedUrlChecker } from '@soulbox/contract/signed-url-service';
import type { SshAuthority } from '@soulbox/contract/ssh-service';
import { RunnerService } from '@soulbox/contract/runner';
import { startFunctions } from '@soulbox/functions';
import type { FunctionsConfig } from '@soulbox/functions';
import { openKeyring, openRootKey, sealBlobs } from '@soulbox/keyring';
import type { MasterKeySources, SourceOptions } from '@soulbox/keyring';
import { createOutsidePolicy } from '@soulbox/network/outside';
import {
  backupSqliteRecords,
  findForeignNames,
  holdableBlobs,
  openDiskBlobs,
  openDiskReserve,
  openSqliteRecords,
} from '@soulbox/storage';
import type { Records } from '@soulbox/storage';
import type { TraceSettings } from '@soulbox/tracing';
import { createStage } from './backup/stage.ts';
import { connectVolumeStaging } from './backup/volume-staging.ts';
import { ensureAdminToken, ensureDefaultApiKey, ensureMetricsToken, ensureSigningRoot } from './credentials.ts';
import { controlFolders } from './folders.ts';
import type { ControlFolders } from './folders.ts';
import { keepReserve } from './keep-reserve.ts';
import type { RecordUploadSettings } from './object-storage/connect.ts';
import { loadObjectStorage } from './object-storage/load.ts';
import { sealOldBlobs } from './sealing/seal-old-blobs.ts';
import { sealOldValues } from './sealing/seal-old-values.ts';

/** Names of other files in one log line. */
const foreignNamesMax = 20;

/** Settings that the starting process passes to the control plane. */
export interface ControlSettings {
  readonly api: ApiConfig;
  readonly functions: FunctionsConfig;
  /** Contains the control plane's own files and nothing else. */
  readonly directory: string;
  /** The folder for its part of a backup. */
  readonly stageDirectory: string;
  readonly deniedRanges: readonly string[];
  readonly traces: TraceSettings;
  readonly masterKeys: SourceOptions;
  /** Empty: it creates one. */
  readonly metricsToken: string;
  /** The program that is uploaded into each sandbox of a function. */
  readonly edgeWorker: string;
  /** Where clients connect by SSH, and the public key of the server. Absent: SSH is off. */
  readonly ssh?: { readonly port: number; readonly hostKey: string };
  /** The socket of the volume service, which may have to be started. */
  readonly volumesSocket: string;
  /** The socket of the bucket service, which may have to be started. Absent: this server has no buckets. */
  readonly bucketsSocket?: string;
  /** The socket on which the API listens. */
  readonly apiSocket: string;
  /** Where the records are uploaded to. Absent: there is no object store. */
  readonly storage?: RecordUploadSettings;
}

export interface ControlOptions {
  readonly settings: ControlSettings;
  /** The sources that `settings.masterKeys` describes, opened while this process had its privileges. */
  readonly masterKeys: MasterKeySources;
  /** Of this server at the provider of sign-in, read while this process had its privileges. */
  readonly oidcClientSecret: Secret | undefined;
  /** Connects to the runner, which may be away. */
  readonly runner: Transport;
  /** Connects to sandboxes, for functions. */
  readonly router: SandboxRouter;
  readonly logger: RootLogger;
  /** Asks the supervisor for the volume service. Absent: it runs. */
  readonly wantVolumes?: () => void;
  /** The same for the bucket service. */
  readonly wantBuckets?: () => void;
  /** The latest report of a supervisor about the other processes. Absent: there is no supervisor. */
  readonly supervised?: () => SupervisedProcesses;
}

export interface Control extends AsyncDisposable {
  /** Finds the sandbox of a function by name, for the gateway. */
  readonly functions: FunctionRouter;
  /** Decides about signed URLs, for the gateway. */
  readonly signedUrls: SignedUrlChecker;
  /** What the egress process asks for. */
  readonly egress: EgressRecords;
  /** Tells the bucket service where buckets are. */
  readonly buckets: BucketRecords;
  /** Takes the counts of the gateway. */
  readonly sandboxUses: SandboxUseReporter;
  /** Decides for the SSH process who enters a sandbox. */
  readonly ssh: SshAuthority;
  /** For use on this machine. */
  readonly apiKey: Secret;
}

/**
 * Starts the control plane: records, API, functions. It also serves without a runner, and returns an error for requests
 * that need one.
 */
export async function startControl(options: ControlOptions): Promise<Control> {
  const { settings, masterKeys, oidcClientSecret, runner, router, logger, supervised } = options;
  const { wantVolumes = () => undefined, wantBuckets = () => undefined } = options;
  const { bucketsSocket } = settings;
  const { directory } = settings;
  const folders = controlFolders(directory);
  await using started = new AsyncDisposableStack();
  const reserve = openDiskReserve(folders.reserve);
  const records = started.use(openSqliteRecords(folders.records, { reserve }));
  const keyring = started.use(await openKeyring({ records: records.keyring, sources: masterKeys }));
  await sealOldValues({
    records,
    keyring,
    secretsDirectory: folders.secrets,
    logger: logger.child({ part: 'control' }),
  });
  // The link to it in the data folder leads somewhere before the first entry of a log.
  await mkdir(folders.audit, { recursive: true, mode: 0o700 });
  await eraseAgain(records, folders.audit);
  const apiKey = await ensureDefaultApiKey(directory, records);
  const stores = {
    uploads: await openDiskBlobs({ directory: folders.uploads }),
    functions: await openDiskBlobs({ directory: folders.functions }),
  };
  await reportForeignNames(folders, logger);
  const root = started.use(await openRootKey(records.blobRootKeys, keyring, { now: systemClock.now(), stores }));
  const sealing = { root, mayBeReadable: await records.sealing.areBlobsPending() };
  const uploads = sealBlobs(stores.uploads, { ...sealing, store: 'uploads' });
  const ofFunctions = sealBlobs(stores.functions, { ...sealing, store: 'functions' });
  const [files, functionBlobs] = [started.use(holdableBlobs(uploads)), started.use(holdableBlobs(ofFunctions))];
  const client = createClient(RunnerService, runner);
  const functions = started.use(
    await startFunctions({
      config: settings.functions,
      teamSandboxLimit: settings.api.teamSandboxLimit,
      teamKvBytes: settings.api.teamKvMb * 1024 * 1024,
      records,
      blobs: functionBlobs,
      runner: client,
      router,
      supervisor: settings.edgeWorker,
      keyring,
      logger: logger.child({ part: 'functions' }),
    }),
  );
  const copyRecords = async (file: string): Promise<void> => await backupSqliteRecords(folders.records, file);
  const stage = {
    ...{ copyRecords, directory: settings.stageDirectory, uploads: files, functionBlobs },
    volumes: connectVolumeStaging(settings.volumesSocket, wantVolumes),
    hasVolumes: async () => (await records.volumes.listAll()).some(({ isUsed }) => isUsed),
    logger: logger.child({ part: 'control' }),
  };
  const api = started.use(
    await startApi({
      config: settings.api,
      records,
      keyring,
      runner: client,
      functions: functions.service,
      volumes: connectVolumeService(settings.volumesSocket, wantVolumes),
      bucketService: bucketsSocket === undefined ? undefined : connectBucketService(bucketsSocket, wantBuckets),
      files,
      fileKeys: uploads,
      reserve,
      stageBackup: createStage({ ...stage, runner: client }),
      droppedLogLines: () => logger.droppedLines(),
      supervised,
      outside: createOutsidePolicy(settings.deniedRanges),
      metricsToken: await ensureMetricsToken(directory, settings.metricsToken),
      adminToken: await ensureAdminToken(directory),
      signingRoot: await ensureSigningRoot(directory),
      oidcClientSecret,
      ssh: settings.ssh,
      readObjectCache: settings.storage === undefined ? undefined : await cacheReader(settings.storage, logger),
      audit: { signingKey: await openAuditSigningKey(folders.secrets), directory: folders.audit },
      listen: { socketPath: settings.apiSocket },
      logger: logger.child({ part: 'api' }),
    }),
  );
  if (uploads.mayBeReadable)
    started.use(
      sealOldBlobs({
        sealing: records.sealing,
        stores: [ofFunctions, uploads],
        runner: client,
        logger: logger.child({ part: 'control' }),
      }),
    );
  started.use(keepReserve(reserve, logger.child({ part: 'control' })));
  const { storage } = settings;
  if (storage !== undefined) {
    const { connectRecordUpload } = await loadObjectStorage();
    started.use(
      connectRecordUpload(storage, {
        recordsFile: folders.records,
        secretsDirectory: folders.secrets,
        stageDirectory: join(directory, 'upload-stage'),
        copyRecords,
        blobs: [
          { store: 'uploads', blobs: stores.uploads, directory: folders.uploads },
          { store: 'functions', blobs: stores.functions, directory: folders.functions },
        ],
        logger: logger.child({ part: 'control' }),
      }),
    );
  }
  const parts = started.move();
  return {
    functions: functions.router,
    signedUrls: api.signedUrls,
    egress: { record: api.recordConnections, resolve: api.resolvePlaceholders },
    buckets: api.buckets,
    sandboxUses: api.sandboxUses,
    ssh: api.ssh,
    apiKey,
    [Symbol.asyncDispose]: async () => await parts.disposeAsync(),
  };
}

async function cacheReader({ socket }: RecordUploadSettings, logger: Logger): Promise<ReadObjectCache> {
  const { readObjectCache } = await loadObjectStorage();
  return async () => await readObjectCache(socket, logger);
}

/** Warns about files that SoulBox did not make: they are neither encrypted nor copied into backups. */
async function reportForeignNames({ uploads, functions }: ControlFolders, logger: Logger): Promise<void> {
  for (const folder of [uploads, functions]) {
    const names = await findForeignNames(folder);
    if (names.length > 0)
      logger.warn(
        { folder, names: names.slice(0, foreignNamesMax), count: names.length },
        'the folder of blobs contains other files: they are ignored, and not encrypted',
      );
  }
}

/** Destroys keys of personal data that an older database has brought back. The log has recorded the first time. */
async function eraseAgain({ audit }: Records, directory: string): Promise<void> {
  for (const { teamId, keyId } of await readTombstones(join(directory, tombstonesName)))
    await audit.eraseSubjectKey(teamId, keyId, undefined);
}
