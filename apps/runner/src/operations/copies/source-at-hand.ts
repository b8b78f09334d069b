import type { SandboxHost } from '../../processes/sandbox-host.ts';
import { checkLayers, checkMemory } from '../../processes/check-memory.ts';
import type { CheckedMemory } from '../../processes/check-memory.ts';
import type { TenantSandbox } from '../../registry/table.ts';
import type { CopySource } from '../../registry/snapshot-store.ts';

/** The source of copies. It is not removed while it is held. */
export interface SourceAtHand {
  readonly source: CopySource;
  /**
   * The saved memory, for so many copies. Undefined when copies start fresh on the files. Memory that this server has just
   * saved is not checked. Throws `state_damaged`, `state_incompatible`.
   */
  readonly getMemory: (copyCount: number) => Promise<CheckedMemory | undefined>;
  /**
   * Writes the layers to the disk with their digests. A copy needs that before it can be paused. Throws `disk_full`.
   */
  readonly sealDisk: () => Promise<void>;
  /** Does the same for the memory, for copies that are made later. */
  readonly sealMemory: () => Promise<void>;
}

export type UseSource<T> = (atHand: SourceAtHand) => Promise<T>;

/** A source that is sealed already. `sandboxId` is the sandbox whose lock is held. Empty: it is a snapshot. */
export function sealedSource(host: SandboxHost, source: CopySource, sandboxId = ''): SourceAtHand {
  return {
    source,
    getMemory: async (copyCount) => {
      const restore = { owner: copyCount === 1 ? 'copy' : 'copies', sandboxId } as const;
      if (source.hasMemory) return await checkMemory(host, { ...source, checkpointId: source.stateId }, restore);
      await checkLayers(host, source.layers);
      return undefined;
    },
    sealDisk: () => Promise.resolve(),
    sealMemory: () => Promise.resolve(),
  };
}

/** The source for copies of a sandbox, with the checkpoint that `memory` names. */
export function sourceFrom(
  { record }: TenantSandbox,
  memory: Pick<CopySource, 'stateId' | 'hasMemory' | 'isEncrypted'>,
  layers: readonly string[] = record.layers,
): CopySource {
  const { driver, templateId, runtimeName, cpuCount, memoryMb, diskMb, volumes, tenant } = record;
  const { stateId, hasMemory, isEncrypted } = memory;
  const has = { stateId, hasMemory, isEncrypted, layers: [...layers] };
  return { ...has, driver, templateId, runtimeName, cpuCount, memoryMb, diskMb, volumes, tenant };
}
