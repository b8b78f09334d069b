import { join } from 'node:path';
import type { Logger, RootLogger } from '@soulbox/base';
import { openCheckpointStore } from '@soulbox/checkpoints';
import { buildEnvdBundle, removeOldBundles } from '@soulbox/envd/build';
import { openClearFolder, removeInstanceTraces, runFolder } from '@soulbox/isolation';
import { openMasterKeySources } from '@soulbox/keyring';
import type { SourceOptions } from '@soulbox/keyring';
import { openFlowLog, openNetwork } from '@soulbox/network';
import type { FlowLog, Network } from '@soulbox/network';
import { createOutsidePolicy } from '@soulbox/network/outside';
import { openBlobReader, openDiskBlobs, openDiskReserve } from '@soulbox/storage';
import { openTemplateStore } from '@soulbox/templates';
import type { TraceSettings } from '@soulbox/tracing';
import type { StoreOptions } from '@soulbox/templates';
import { createPolicyFeed } from '@soulbox/egress-policies';
import type { PolicyFeed } from '@soulbox/egress-policies';
import type { RunnerConfig } from '../config.ts';
import { createConnectionQueue } from '../connections/connection-queue.ts';
import { createUsageBook } from '../processes/egress-usage.ts';
import { isSandboxPolicy } from '../registry/network-policy.ts';
import { policyForEgress } from '../serve/network-to-message.ts';
import type { UploadSettings } from '../object-storage/connect.ts';
import type { StoredSource } from '../stored/open-stored-copies.ts';
import type { Runner } from '../start.ts';
import { startRunner } from '../start.ts';
import { createDrivers } from './drivers.ts';
import { checkpointKeys } from '../processes/checkpoint-keys.ts';
import { openVolumeMounts } from './volumes/open-volume-mounts.ts';
import { runnerContentFolders } from './content-folders.ts';
import { openDependencyBlobs } from './dependency-blobs.ts';
import { encryptFolders } from './encrypt-folders.ts';
import type { EncryptedFolders } from './encrypt-folders.ts';
import { openRunnerKeys } from './open-keys.ts';
import { findOwnTemplates } from './own-templates.ts';
import { recipes } from './recipes.ts';

/** The template of a create that names none. Its spares are kept warm from the start. */
export const defaultTemplate = 'base';

/** The settings of a host's runner, given by the program that starts it. */
export interface RunnerSettings {
  readonly config: RunnerConfig;
  readonly dataDirectory: string;
  readonly templatesDirectory: string;
  /** Archives for builds, which the control plane writes. */
  readonly uploadsDirectory: string;
  /** Bundles and values of functions, which the control plane writes. */
  readonly functionsDirectory: string;
  /** Folders of the volume service and the bucket service, which are encrypted like those of the runner. */
  readonly serviceDirectories: readonly string[];
  /** Folder of the reserve on the disk of the data folder. */
  readonly reserveDirectory: string;
  /** Empty: the instance's own. */
  readonly networkCidr: string;
  /** The file with the runner's data keys, encrypted by a master key. */
  readonly keysFile: string;
  /** The master keys of this server. */
  readonly masterKeys: SourceOptions;
  readonly deniedRanges: readonly string[];
  readonly traces: TraceSettings;
  /** The socket of the volume service, and our end of the channel over which it gets devices. Absent: there is none. */
  readonly volumes?: { readonly socket: string; readonly channel: number };
  /** The same of the bucket service. */
  readonly buckets?: { readonly socket: string; readonly channel: number };
  /** The user of the egress process. Absent: it runs in this process. */
  readonly egressUserId?: number;
  /** Where what sleeps is uploaded to. Absent: there is no object store. */
  readonly storage?: UploadSettings;
}

export interface RunnerHostHooks {
  readonly droppedLogLines?: () => number;
  /** Asks for the volume service, which runs only when it is needed. May be called again. Absent: it runs anyway. */
  readonly wantVolumes?: () => void;
  readonly wantBuckets?: () => void;
}

export interface RunnerHost extends AsyncDisposable {
  readonly runner: Runner;
  /** What the egress process enforces. */
  readonly policies: PolicyFeed;
  /** For a server start that fails elsewhere: removes what this runner made on the host. Sandboxes of tenants stay. */
  takeBack(): Promise<void>;
  /**
   * Stops the runner. With `keepSandboxes` its sandboxes continue, and the next runner adopts them. Without it the
   * caller has ended them, and nothing of the instance stays on the host.
   */
  close(options: { readonly keepSandboxes: boolean }): Promise<void>;
}

/**
 * Starts the runner with everything that it has on this host: drivers, network, stores. The host must be prepared
 * (`soulbox setup`). On an error what was started is stopped again. Disposing leaves its sandboxes running.
 */
export async function startRunnerHost(
  settings: RunnerSettings,
  logger: RootLogger,
  {
    droppedLogLines = () => logger.droppedLines(),
    wantVolumes = () => undefined,
    wantBuckets = () => undefined,
  }: RunnerHostHooks = {},
): Promise<RunnerHost> {
  const { config, dataDirectory } = settings;
  await using started = new AsyncDisposableStack();
  const bundles = join(dataDirectory, 'runtime');
  const envdBundle = await buildEnvdBundle(bundles);
  const usageBook = createUsageBook();
  const policies = started.use(createPolicyFeed(logger.child({ part: 'runner' }), usageBook));
  const connections = createConnectionQueue();
  const flowLog = openFlowLog({
    instance: config.instance,
    base: baseOf(settings),
    logger: logger.child({ part: 'runner' }),
    markFile: join(runFolder(config.instance), 'connections-read'),
    onRecord: (record, policy) => {
      if (!isSandboxPolicy(policy)) return;
      const { sandboxId, teamId } = policy;
      connections.add({ sandboxId, teamId, name: '', method: '', path: '', ...record });
    },
  });
  if (flowLog !== undefined) started.use(flowLog);
  const network = await openRunnerNetwork(settings, { policies, flowLog }, logger);
  const state = { isReady: false, adopted: 0 };
  started.defer(async () => {
    if (!state.isReady && state.adopted === 0) await network.close();
  });
  const reserve = openDiskReserve(settings.reserveDirectory);
  const masterKeys = await openMasterKeySources(settings.masterKeys);
  for (const source of masterKeys) started.use(source);
  const keyring = started.use(
    await openRunnerKeys({ path: settings.keysFile, dataDirectory, sources: masterKeys, reserve }),
  );
  // Before anything reads these folders: without the key they seem to contain unknown files. The services of volumes and
  // buckets start when the runner or the control plane wants them, which is later.
  const ownTemplates = await findOwnTemplates(dataDirectory, settings.templatesDirectory);
  const encrypted = await encryptFolders({
    isWanted: config.encryptDisks,
    templates: ownTemplates,
    folders: [...runnerContentFolders(dataDirectory), settings.uploadsDirectory, settings.functionsDirectory],
    lateFolders: settings.serviceDirectories,
    keysFile: settings.keysFile,
    keyring,
    logger: logger.child({ part: 'runner' }),
  });
  started.defer(async () => {
    if (!state.isReady && state.adopted === 0) await encrypted?.takeBack();
  });
  const blobs = started.use(await openDiskBlobs({ directory: join(dataDirectory, 'archive') }));
  const dependencyBlobs = started.use(
    await openDependencyBlobs({ dataDirectory, keyring, reserve, logger: logger.child({ part: 'runner' }) }),
  );
  const checkpoints = started.use(
    await openCheckpointStore({
      directory: dataDirectory,
      clearDirectory: await openClearFolder(config.instance),
      keys: checkpointKeys(keyring),
      logger,
      blobs,
    }),
  );
  const volumes =
    settings.volumes === undefined
      ? undefined
      : started.use(
          openVolumeMounts({
            service: { socketPath: settings.volumes.socket, channel: settings.volumes.channel, wake: wantVolumes },
            ...(settings.buckets !== undefined && {
              bucketService: {
                ...{ socketPath: settings.buckets.socket, channel: settings.buckets.channel, wake: wantBuckets },
              },
            }),
            folder: join(runFolder(config.instance), 'volume-mounts'),
            logger: logger.child({ part: 'runner' }),
          }),
        );
  const runner = started.use(
    await startRunner({
      config,
      dataDirectory,
      drivers: await createDrivers(config.instance, logger, config),
      network,
      ...(volumes === undefined ? {} : { volumes }),
      usageBook,
      connections,
      checkpoints,
      ...(settings.storage !== undefined && { storedSource: await openStoredSource(settings.storage) }),
      templates: openTemplateStore(
        settings.templatesDirectory,
        logger,
        draftEncryption(settings, encrypted, ownTemplates !== undefined, logger),
      ),
      dependencyBlobs,
      recipes,
      envdBundle,
      files: openBlobReader({ directory: settings.uploadsDirectory }),
      reserve,
      keyring,
      outside: createOutsidePolicy(settings.deniedRanges),
      defaultTemplate,
      droppedLogLines,
      logger: logger.child({ part: 'runner' }),
    }),
  );
  if (settings.storage !== undefined) started.use(await runner.startUploads(settings.storage));
  state.adopted = runner.runningCount();
  const oldBundles = await removeOldBundles(bundles, runner.bundlesInUse().add(envdBundle.directory));
  if (oldBundles > 0) logger.info({ removed: oldBundles }, 'old envd versions removed');
  flowLog?.noteAdopted();
  state.isReady = true;
  const parts = started.move();
  return {
    runner,
    policies,
    async takeBack() {
      await runner.endSpares();
      state.isReady = false;
    },
    async close({ keepSandboxes }) {
      await parts.disposeAsync();
      if (keepSandboxes) return;
      await network.close();
      await removeInstanceTraces(config.instance);
      await encrypted?.lock();
    },
    async [Symbol.asyncDispose]() {
      await parts.disposeAsync();
    },
  };
}

async function openStoredSource(settings: UploadSettings): Promise<StoredSource> {
  const { storedSourceOf } = await import('../object-storage/connect.ts');
  return storedSourceOf(settings);
}

/** Templates that the runner makes contain files of tenants' images. Other servers may share another folder of templates. */
function draftEncryption(
  { templatesDirectory }: RunnerSettings,
  encrypted: EncryptedFolders | undefined,
  isOwn: boolean,
  logger: Logger,
): StoreOptions {
  if (encrypted === undefined) return {};
  if (isOwn) return { prepareDraft: encrypted.encrypt.bind(encrypted) };
  logger.warn({ templatesDirectory }, 'templates outside of the data folder are not encrypted');
  return {};
}

async function openRunnerNetwork(
  settings: RunnerSettings,
  { policies, flowLog }: { policies: PolicyFeed; flowLog: FlowLog | undefined },
  logger: RootLogger,
): Promise<Network> {
  const { config, deniedRanges, egressUserId } = settings;
  return await openNetwork({
    instance: config.instance,
    nameServers: config.nameServers,
    denied: deniedRanges,
    egressUserId,
    policies: {
      put: async (address, policy) => {
        if (isSandboxPolicy(policy)) await policies.put(policyForEgress(address, policy));
      },
      remove: async (address) => await policies.remove(address),
    },
    flowLog,
    base: baseOf(settings),
    logger,
  });
}

/** The range of the sandboxes' addresses. Undefined: the instance's own. */
const baseOf = ({ networkCidr }: RunnerSettings): string | undefined => (networkCidr === '' ? undefined : networkCidr);
