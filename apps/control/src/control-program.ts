import { chmod } from 'node:fs/promises';
import { flushCompileCache } from 'node:module';
import { loadAll } from '@soulbox/api';
import type { RootLogger, SupervisedProcesses } from '@soulbox/base';
import { addBucketRecords } from '@soulbox/contract/bucket-record-service';
import { addEgressRecords } from '@soulbox/contract/egress-record-service';
import { addFunctionRoutes } from '@soulbox/contract/function-routing';
import { addSandboxUseReports } from '@soulbox/contract/sandbox-use-service';
import { addSignedUrlCheck } from '@soulbox/contract/signed-url-service';
import { addSshAuthority } from '@soulbox/contract/ssh-service';
import { openMasterKeySources } from '@soulbox/keyring';
import { bindMount } from '@soulbox/linux/mounts';
import { createDescriptorReceiver, dropPrivileges } from '@soulbox/process';
import type { Cell, PartProgram, RunningPart, SupervisorOfPart } from '@soulbox/process';
import { functionMetadataKey } from '@soulbox/contract/functions';
import { connectRouting } from '@soulbox/routing';
import { createSocketTransport, serveSocket } from '@soulbox/rpc';
import { startTracing } from '@soulbox/tracing';
import { readClientSecret } from './client-secret.ts';
import { loadObjectStorage } from './object-storage/load.ts';
import { startControl } from './start.ts';
import type { ControlSettings } from './start.ts';

export interface ControlProcessSettings extends ControlSettings {
  readonly runner: {
    readonly socket: string;
    /** Our end of the channel on which the runner passes connections into sandboxes. */
    readonly channel: number;
  };
  readonly gateway: {
    /** Its user and group; no other user may call functions. */
    readonly id: number;
    /** The socket on which it calls functions. */
    readonly socket: string;
  };
  /** The user of the egress process, and the socket on which it reports connections and asks for placeholders. */
  readonly egress: { readonly id: number; readonly socket: string };
  /**
   * The user of the bucket service, and the socket on which it asks where buckets are. No other user may: the answers have
   * credentials. Absent: this server has no buckets.
   */
  readonly buckets?: { readonly id: number; readonly socket: string };
  /** The user of the SSH process, and the socket on which it asks who may enter a sandbox. Absent: SSH is off. */
  readonly sshDoor?: { readonly id: number; readonly socket: string };
  readonly cell: Cell;
  /**
   * Its part of the data folder, and the path at which it sees that part: no other user may enter the folders above the
   * original.
   */
  readonly dataMount: { readonly from: string; readonly to: string };
}

/** The control plane as a process under a supervisor. */
export const controlProgram: PartProgram = {
  part: 'control',
  start: async (settings, logger, supervisor) =>
    await run(settings as unknown as ControlProcessSettings, logger, supervisor),
};

async function run(
  settings: ControlProcessSettings,
  logger: RootLogger,
  supervisor: SupervisorOfPart,
): Promise<RunningPart> {
  const { gateway, apiSocket, dataMount } = settings;
  await loadAll();
  // Code cannot be loaded after the privileges are gone.
  if (settings.storage !== undefined) await loadObjectStorage();
  bindMount(dataMount.from, dataMount.to);
  const masterKeys = await openMasterKeySources(settings.masterKeys);
  const oidcClientSecret = await readClientSecret(settings.api.oidcClientSecretFile);
  await using started = new AsyncDisposableStack();
  const own = logger.child({ part: 'control' });
  started.use(await startTracing(settings.traces, { service: 'soulbox-control', logger: own }));
  // The cache cannot be written after the next step.
  flushCompileCache();
  dropPrivileges(settings.cell);
  let supervised: SupervisedProcesses = { processes: [], restarts: [] };
  const runner = createSocketTransport(settings.runner.socket);
  const receiver = started.use(createDescriptorReceiver(settings.runner.channel));
  const router = started.use(
    connectRouting({ transport: runner, receiver, metadataKey: functionMetadataKey, logger: own }),
  );
  const control = started.use(
    await startControl({
      settings,
      masterKeys,
      oidcClientSecret,
      runner,
      router,
      logger,
      supervised: () => supervised,
      wantVolumes: () => supervisor.want('volumes'),
      wantBuckets: () => supervisor.want('buckets'),
    }),
  );
  // The group is the gateway's, inherited from the folder.
  await chmod(apiSocket, 0o660);
  const door = {
    name: 'gateway',
    admits: ({ uid }: { uid: number }) => uid === gateway.id,
    routes: (routes: Parameters<typeof addFunctionRoutes>[0]) => {
      addFunctionRoutes(routes, control.functions, own);
      addSignedUrlCheck(routes, control.signedUrls, own);
      addSandboxUseReports(routes, control.sandboxUses, own);
    },
  };
  started.use(await serveSocket({ path: gateway.socket, doors: [door], mode: 0o666, logger: own }));
  const egressDoor = {
    name: 'egress',
    admits: ({ uid }: { uid: number }) => uid === settings.egress.id,
    routes: (routes: Parameters<typeof addEgressRecords>[0]) => addEgressRecords(routes, control.egress, own),
  };
  started.use(await serveSocket({ path: settings.egress.socket, doors: [egressDoor], mode: 0o666, logger: own }));
  const { buckets, sshDoor } = settings;
  if (buckets !== undefined) {
    const door = {
      name: 'buckets',
      admits: ({ uid }: { uid: number }) => uid === buckets.id,
      routes: (routes: Parameters<typeof addBucketRecords>[0]) => addBucketRecords(routes, control.buckets, own),
    };
    started.use(await serveSocket({ path: buckets.socket, doors: [door], mode: 0o666, logger: own }));
  }
  if (sshDoor !== undefined) {
    const door = {
      name: 'ssh',
      admits: ({ uid }: { uid: number }) => uid === sshDoor.id,
      routes: (routes: Parameters<typeof addSshAuthority>[0]) => addSshAuthority(routes, control.ssh, own),
    };
    started.use(await serveSocket({ path: sshDoor.socket, doors: [door], mode: 0o666, logger: own }));
  }
  const owned = started.move();
  return {
    facts: {},
    listeners: { processes: (told) => void (supervised = told as SupervisedProcesses) },
    async stop() {
      await owned.disposeAsync();
    },
  };
}
