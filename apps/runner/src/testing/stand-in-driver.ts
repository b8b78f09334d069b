import { cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import type { DiskReading, Driver, SandboxInstance, SandboxSpec } from '@soulbox/isolation';

interface Guest {
  readonly instance: SandboxInstance;
  frozen: boolean;
}

/** A driver whose sandboxes are a disk file and an entry in a map. It behaves as the interface promises. */
export interface StandInDriver extends Driver {
  /** The calls so far in order, such as `restore i1`. */
  readonly calls: string[];
  /** Whether a sandbox has processes, and whether they are frozen. */
  stateOf(sandboxId: string): 'running' | 'frozen' | 'none';
  /** Removes the processes of a sandbox, as a crash does. */
  kill(sandboxId: string): void;
  /** What every sandbox has on its disk. */
  diskUsedBytes: number;
  /** From now on a process of the restore with this generation counts as having run. */
  noteRun(sandboxId: string, generation: string): void;
  /** Makes the next call with this name throw the error. `hasRun`: the processes of the failed restore have run. */
  failNext(call: string, error: Error, hasRun?: boolean): void;
}

/** The disk of each sandbox: 64 MiB and empty. */
const diskReading: DiskReading = {
  ...{ sizeBytes: 65 * 2 ** 20, freeBytes: 64 * 2 ** 20, tableBytes: 2 ** 20 },
  ...{ heldBackBytes: 0, allocatedBytes: 4096 },
};

/** `namespacePath` is the network namespace of all sandboxes. */
export function createStandInDriver(namespacePath: string): StandInDriver {
  const guests = new Map<string, Guest>();
  const failures = new Map<string, { readonly error: Error; readonly hasRun: boolean }>();
  const calls: string[] = [];
  /** Generations of the restores that ran, by sandbox. */
  const ran = new Map<string, string>();
  let pids = 0;
  const note = (call: string, sandboxId: string, generation?: string): void => {
    calls.push(`${call} ${sandboxId}`);
    const failure = failures.get(call);
    failures.delete(call);
    if (failure === undefined) return;
    if (failure.hasRun && generation !== undefined) ran.set(sandboxId, generation);
    throw failure.error;
  };
  const diskPath = (_sandboxId: string, directory: string): string => join(directory, 'disk.img');
  const getGuest = (sandboxId: string): Guest => {
    const guest = guests.get(sandboxId);
    if (guest === undefined) throw new Error(`${sandboxId} has no processes`);
    return guest;
  };

  /** After an error only a kept disk is left. */
  const begin = async (spec: SandboxSpec, disk: string): Promise<SandboxInstance> => {
    const { sandboxId, directory } = spec;
    const path = diskPath(sandboxId, directory);
    if (spec.disk === 'kept' && !existsSync(path)) throw new Error(`the disk of ${sandboxId} is not there`);
    try {
      if (spec.disk === 'new') await writeFile(path, disk);
      await spec.attachNetwork(namespacePath);
    } catch (error) {
      if (spec.disk === 'new') await rm(directory, { recursive: true });
      throw error;
    }
    const instance: SandboxInstance = {
      ...{ sandboxId, directory, networkNamespace: namespacePath },
      ...{ initPid: ++pids, initStartTicks: 1 },
    };
    guests.set(sandboxId, { instance, frozen: false });
    return instance;
  };

  const driver: StandInDriver = {
    name: 'container',
    diskUsedBytes: 1,
    capabilities: {
      ...{ ownKernel: false, setuid: true, survivesOutOfMemory: true, sharedMemoryOnDisk: true },
      ...{ hidesEnvironments: true, fileAttributes: true, checkpoint: true, deletedFiles: true, handshakes: true },
      ...{ restoredTerminal: true, lazyRestore: true, volumes: true, sharedVolumeLocks: true },
    },
    idleCpus: 0.01,
    isMemoryPart: (name) => name.startsWith('pages'),
    prepareHost: () => Promise.resolve(),
    calls,
    stateOf(sandboxId) {
      const guest = guests.get(sandboxId);
      return guest === undefined ? 'none' : guest.frozen ? 'frozen' : 'running';
    },
    kill: (sandboxId) => void guests.delete(sandboxId),
    failNext: (call, error, hasRun = false) => void failures.set(call, { error, hasRun }),
    readVersion: () => Promise.resolve('stand-in 1'),
    probe: () => Promise.resolve([]),
    async start(spec) {
      note('start', spec.sandboxId);
      return await begin(spec, `disk of ${spec.sandboxId}`);
    },
    attachVolumes: async ({ sandboxId }, volumes) => {
      note('attachVolumes', sandboxId, ...volumes.map(({ path }) => path));
      await Promise.resolve();
    },
    syncVolumes: async ({ sandboxId }) => {
      note('syncVolumes', sandboxId);
      await Promise.resolve();
    },
    async restore(spec, memory) {
      note('restore', spec.sandboxId, spec.generation);
      const parts = await readdir(memory.directory);
      if (!parts.includes('pages-1.img'))
        throw new SoulBoxError('sandbox_resume_failed', 'There is no memory to restore.');
      const instance = await begin(spec, `disk of ${spec.sandboxId}`);
      ran.set(spec.sandboxId, spec.generation);
      return instance;
    },
    hasRunAgain: (sandboxId, _directory, generation) => Promise.resolve(ran.get(sandboxId) === generation),
    noteRun: (sandboxId, generation) => void ran.set(sandboxId, generation),
    expectLateRestore: () => undefined,
    wantFirstBlocks: () => undefined,
    adopt(sandboxId) {
      note('adopt', sandboxId);
      return Promise.resolve(guests.get(sandboxId)?.instance);
    },
    isAlive: ({ sandboxId, initPid }) => guests.get(sandboxId)?.instance.initPid === initPid,
    whyEnded: () => Promise.resolve(undefined),
    readCpuUsed({ sandboxId }) {
      getGuest(sandboxId);
      return 0;
    },
    sample: () => ({
      ...{ cpuUsedSeconds: 0, memoryRssBytes: 1024, memoryCacheBytes: 0, memorySwapBytes: 0 },
      ...{ memoryWorkingSetBytes: 1024, memoryLimitBytes: 2 ** 20 },
      ...{ diskUsedBytes: driver.diskUsedBytes, diskTotalBytes: 2 ** 20 },
      ...{ diskReadBytes: 0, diskWrittenBytes: 0 },
    }),
    openDisk: ({ sandboxId }) => ({
      hasRun: () => true,
      peek: () => (guests.has(sandboxId) ? diskReading : undefined),
      read: () => (guests.has(sandboxId) ? diskReading : undefined),
      allow: () => undefined,
      flush: () => Promise.resolve(),
    }),
    freeze({ sandboxId }) {
      note('freeze', sandboxId);
      getGuest(sandboxId).frozen = true;
      return Promise.resolve();
    },
    thaw({ sandboxId }) {
      note('thaw', sandboxId);
      const guest = guests.get(sandboxId);
      if (guest !== undefined) guest.frozen = false;
      return Promise.resolve();
    },
    async checkpoint({ sandboxId }, directory) {
      note('checkpoint', sandboxId);
      if (!getGuest(sandboxId).frozen) throw new Error(`${sandboxId} is not frozen`);
      await writeFile(join(directory, 'pages-1.img'), `memory of ${sandboxId}`);
      await writeFile(join(directory, 'core-1.img'), `processes of ${sandboxId}`);
    },
    suspend(sandboxId) {
      note('suspend', sandboxId);
      guests.delete(sandboxId);
      return Promise.resolve();
    },
    diskPath,
    readKeptDisk: () => Promise.resolve(diskReading),
    async copyDisk({ sandboxId, directory }, layer) {
      note('copyDisk', sandboxId);
      await cp(diskPath(sandboxId, directory), layer);
    },
    async takeDisk(sandboxId, directory, layer) {
      note('takeDisk', sandboxId);
      await rename(diskPath(sandboxId, directory), layer);
    },
    async destroy(sandboxId, directory) {
      note('destroy', sandboxId);
      guests.delete(sandboxId);
      await rm(directory, { recursive: true, force: true });
      await mkdir(join(directory, '..'), { recursive: true });
    },
    listTraces: () => Promise.resolve([...guests.keys()]),
  };
  return driver;
}
