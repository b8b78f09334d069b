import { SoulBoxError } from '@soulbox/base';
import { dataBytesOf, isSigned, parseManifest, publicExportKey, unusable } from '@soulbox/contract/export-file';
import type { ExportManifest, ExportSignature } from '@soulbox/contract/export-file';
import type { Template } from '@soulbox/templates';
import { sizeOfLayers } from '../operations/layers/size-of-layers.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import { bundleNameOf, getDriver } from '../processes/sandbox-host.ts';
import type { Tenant } from '../registry/record.ts';
import type { SnapshotRecord } from '../registry/snapshot-store.ts';
import { findTemplate, whyMemoryDoesNotFit } from './fit-host.ts';
import { createImportDraft } from './import-draft.ts';
import type { ImportDraft } from './import-draft.ts';
import { tenantFromSettings } from './settings.ts';

/** Each holds room of the disk, and memory while it has some. */
const maxImports = 4;
const defaultIdleMs = 60_000;

export interface ImportRequest {
  readonly manifest: Uint8Array;
  readonly signature: ExportSignature;
  /** The snapshot to make. It also names the import. */
  readonly snapshotId: string;
  readonly teamId: string;
  readonly memory: 'if-it-fits' | 'required' | 'never';
}

export interface BegunImport {
  readonly templateId: string;
  /** Why the memory is left out. Undefined: it is not, or there is none. */
  readonly memoryLeftOut: string | undefined;
}

/** Imports in progress. Each is a series of calls, of which nothing is left if it breaks off. */
export interface Imports extends AsyncDisposable {
  /**
   * Checks everything that can be known before the data arrive, and reserves room. Throws `export_untrusted`,
   * `export_unusable`, `template_not_found`, `capability_missing`, `disk_full`, `state_incompatible`, `limit_exceeded`.
   */
  begin(request: ImportRequest): Promise<BegunImport>;
  /** The next block. After an error the import is removed. An empty block only says that the sender is still there. */
  take(snapshotId: string, index: number, block: Uint8Array): Promise<void>;
  finish(snapshotId: string): Promise<SnapshotRecord>;
  abandon(snapshotId: string): Promise<void>;
}

export interface ImportsOptions {
  readonly privateKey: () => Promise<string>;
  /** Public keys of other servers. */
  readonly trustedKeys: readonly string[];
  readonly idleMs?: number;
}

interface Underway {
  readonly manifest: ExportManifest;
  readonly template: Template;
  readonly tenant: Tenant;
  readonly draft: ImportDraft;
  readonly timer: NodeJS.Timeout;
  readonly resources: AsyncDisposableStack;
  /** Calls run one after the other. */
  last: Promise<unknown>;
}

export function createImports(context: OperationContext, options: ImportsOptions): Imports {
  const { snapshots, clock, host } = context;
  const { idleMs = defaultIdleMs } = options;
  const underway = new Map<string, Underway | 'beginning'>();

  const remove = async (snapshotId: string): Promise<void> => {
    const one = underway.get(snapshotId);
    if (one === undefined || one === 'beginning') return;
    underway.delete(snapshotId);
    clearTimeout(one.timer);
    await one.last.catch(() => undefined);
    await one.resources.disposeAsync();
  };
  const removeSilently = (snapshotId: string): void => {
    host.logger.warn({ snapshotId }, 'import without a sender removed');
    remove(snapshotId).catch((err: unknown) => host.logger.error({ snapshotId, err }, 'import could not be removed'));
  };
  /** Runs a step of an import. If it fails, nothing is left. */
  const step = async <T>(snapshotId: string, act: (one: Underway) => Promise<T>): Promise<T> => {
    const one = underway.get(snapshotId);
    if (one === undefined || one === 'beginning')
      throw new SoulBoxError('snapshot_not_found', 'The import has ended or was never begun.');
    one.timer.refresh();
    const done = one.last.then(async () => await act(one));
    one.last = done.catch(() => undefined);
    try {
      return await done;
    } catch (error) {
      await remove(snapshotId);
      throw error;
    }
  };

  const start = async (request: ImportRequest): Promise<BegunImport> => {
    const { snapshotId, teamId } = request;
    await checkTrust(request, options);
    const whole = parseManifest(request.manifest);
    getDriver(host, whole.sandbox.isolation);
    const tenant = tenantFromSettings(whole.settings, whole.leftOut, teamId, clock.now());
    const template = await findTemplate(context, whole.template);
    const memoryLeftOut = await chooseMemory(context, request, whole, template);
    const manifest = memoryLeftOut === undefined ? whole : withoutMemory(whole);
    await using resources = new AsyncDisposableStack();
    resources.use(host.disks.admit(dataBytesOf(manifest), 'The import'));
    resources.use(await holdMemory(context, manifest));
    const draft = resources.use(await createImportDraft(context, manifest));
    const timer = setTimeout(removeSilently, idleMs, snapshotId).unref();
    const kept = resources.move();
    underway.set(snapshotId, { manifest, template, tenant, draft, timer, resources: kept, last: Promise.resolve() });
    return { templateId: template.templateId, memoryLeftOut };
  };

  return {
    async begin(request) {
      const { snapshotId } = request;
      snapshots.checkFree(snapshotId);
      if (underway.has(snapshotId)) throw new SoulBoxError('name_taken', 'This import is in progress already.');
      if (underway.size >= maxImports)
        throw new SoulBoxError(
          'limit_exceeded',
          `This server runs at most ${maxImports} imports at once. Retry later.`,
          {
            retryAfterSeconds: 30,
          },
        );
      underway.set(snapshotId, 'beginning');
      try {
        return await start(request);
      } catch (error) {
        underway.delete(snapshotId);
        throw error;
      }
    },
    async take(snapshotId, index, block) {
      await step(snapshotId, async ({ draft }) => {
        if (block.length > 0) await draft.take(index, block);
      });
    },
    async finish(snapshotId) {
      const snapshot = await step(snapshotId, async (one) => {
        // From here on it needs no sender: digests of large layers take minutes.
        clearTimeout(one.timer);
        return await makeSnapshot(context, snapshotId, one, () => underway.get(snapshotId) === one);
      });
      await remove(snapshotId);
      return snapshot;
    },
    abandon: remove,
    async [Symbol.asyncDispose]() {
      await Promise.all([...underway.keys()].map(remove));
    },
  };
}

/**
 * A signature is what stands between a stranger's bytes and the kernel, which mounts the layers, and CRIU, which restores
 * the memory as root. So the keys are those of this server and of its operator's choice, never of a tenant's.
 */
async function checkTrust({ manifest, signature }: ImportRequest, options: ImportsOptions): Promise<void> {
  if (!isSigned(manifest, signature)) throw unusable('its signature does not match');
  if (options.trustedKeys.includes(signature.key)) return;
  if (signature.key === publicExportKey(await options.privateKey())) return;
  throw new SoulBoxError(
    'export_untrusted',
    `The export was signed with the key ${signature.key}, which this server does not trust.`,
  );
}

/** Why the memory is left out. Throws `state_incompatible` if it is required. */
async function chooseMemory(
  context: OperationContext,
  { memory: wanted }: ImportRequest,
  manifest: ExportManifest,
  template: Template,
): Promise<string | undefined> {
  const refuse = (why: string): never => {
    throw new SoulBoxError('state_incompatible', `The memory of the export cannot be restored on this host: ${why}.`);
  };
  if (manifest.memory === undefined) return wanted === 'required' ? refuse('it has none') : undefined;
  if (wanted === 'never') return 'it was not wanted';
  const why = await whyMemoryDoesNotFit(context, manifest, template);
  return why !== undefined && wanted === 'required' ? refuse(why) : why;
}

function withoutMemory({ memory: _, ...rest }: ExportManifest): ExportManifest {
  return { ...rest, parts: rest.parts.filter(({ kind }) => kind === 'layer') };
}

/** The clear memory is in the host's memory until it is encrypted. */
async function holdMemory({ host }: OperationContext, { parts }: ExportManifest): Promise<Disposable> {
  const bytes = parts.reduce((sum, { kind, sizeBytes }) => sum + (kind === 'memory' ? sizeBytes : 0), 0);
  if (bytes === 0) return { [Symbol.dispose]: () => undefined };
  return await host.memory.admit({ bytes, what: 'The import', reason: 'checkpoint_failed', sandboxId: '' });
}

async function makeSnapshot(
  context: OperationContext,
  snapshotId: string,
  { manifest, template, tenant, draft }: Underway,
  isWanted: () => boolean,
): Promise<SnapshotRecord> {
  const { host, snapshots, clock } = context;
  const { source, sandbox, memory } = manifest;
  const { isolation: driver, ...size } = sandbox;
  const checkpointDraft = await draft.complete();
  const runtimeName = memory?.envd ?? bundleNameOf(host);
  const same = { driver, ...size, templateId: template.templateId, runtimeName, layers: [...draft.layers] };
  const checkpoint = await checkpointDraft.seal({
    ...same,
    createdAtMs: Date.parse(source.createdAt),
    driverVersion: memory?.driverVersion ?? (await getDriver(host, driver).readVersion()),
    hasMemory: memory !== undefined,
    cpuType: memory?.cpuType ?? '',
    tenant: null,
  });
  const snapshot: SnapshotRecord = {
    ...{ ...same, tenant, snapshotId, formatVersion: 2, sandboxId: source.sandboxId, createdAtMs: clock.now() },
    ...{ stateId: checkpoint.checkpointId, hasMemory: memory !== undefined, isEncrypted: true },
    volumes: [],
    sizeBytes: checkpoint.sizeBytes + (await sizeOfLayers(host.checkpoints, draft.layers)),
  };
  // The control plane may have given up meanwhile, and would never hear of the snapshot.
  if (!isWanted()) throw new SoulBoxError('snapshot_not_found', 'The import was abandoned.');
  snapshots.checkFree(snapshotId);
  await snapshots.write(snapshot);
  host.logger.info({ snapshotId, teamId: tenant.teamId, hasMemory: snapshot.hasMemory }, 'export imported');
  return snapshot;
}
