import { access } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';
import type { SavedMemory } from '@soulbox/isolation';
import type { State } from '@soulbox/checkpoints';
import { readCpuType } from '../host/cpu-type.ts';
import { getDriver, runtimeDirectoryOf } from './sandbox-host.ts';
import type { SandboxHost } from './sandbox-host.ts';
import { isPages } from './save-checkpoint.ts';

/** What a saved memory is to be brought back for. */
export interface CheckpointUse {
  readonly stateId: string;
  /** Frozen disks below, topmost first. */
  readonly layers: readonly string[];
  readonly driver: string;
  /** Of its envd. */
  readonly runtimeName: string;
}

/** A saved memory that may be restored already, though its pages are still being checked. */
export interface CheckedMemory extends SavedMemory {
  /** Resolves when they are what was saved. Nothing of the sandbox may run before. Rejects with `state_damaged`. */
  readonly pagesChecked: Promise<void>;
}

/** Below this a memory is read whole sooner than its reader is set up: docs/decisions/010. */
const lateFromBytes = 64 * 2 ** 20;

const lateMaxShare = 0.75;

/** Copies share one check, and a reader for each of many would cost more than it saves. */
export type MemoryOwner = 'itself' | 'copies';

/**
 * The saved memory, checked: nothing is started from a state that is incomplete, altered or made for another host. Its pages
 * may be checked while all else is prepared, and those of one that comes late are left for the driver to check. Throws
 * `state_damaged`, `state_incompatible`, `disk_full` for one that must be unpacked first.
 */
export async function checkMemory(host: SandboxHost, use: CheckpointUse, owner: MemoryOwner): Promise<CheckedMemory> {
  const state = await host.states.unpack(use.stateId, (bytes) => host.disks.admit(bytes, 'Unpacking the saved memory'));
  await checkFit(host, state, use);
  await checkLayers(host, use.layers);
  const memory = memoryOf(host, use.driver, state, owner);
  await state.verify((partName) => !isPages(partName));
  const pagesChecked = state.verify((partName) => isPages(partName) && !(partName in memory.digests.parts));
  // Whoever waits for it learns of it; a restore that failed before does not.
  pagesChecked.catch(() => undefined);
  return { ...memory, pagesChecked };
}

/** A memory that needs no check, because this server has just saved it. */
export function memoryOf(
  host: Pick<SandboxHost, 'drivers'>,
  driverName: string,
  state: State,
  owner: MemoryOwner,
): CheckedMemory {
  const { capabilities } = getDriver(host, driverName);
  const isLate = owner === 'itself' && capabilities.lazyRestore && isWorthwhile(state);
  const digests = state.digestsOf((partName) => isLate && isPages(partName));
  return { directory: state.directory, digests, pagesChecked: Promise.resolve() };
}

/** Whether its state must stay while the sandbox runs, because its pages come late. */
export function comesLate({ digests }: SavedMemory): boolean {
  return Object.keys(digests.parts).length > 0;
}

/** Checks frozen disks, each once in the life of the server. Throws `state_damaged`. */
export async function checkLayers(host: SandboxHost, layers: readonly string[]): Promise<void> {
  await Promise.all(layers.map(async (layerId) => await host.states.verifyLayer(layerId)));
}

async function checkFit(host: SandboxHost, { stateId, manifest }: State, use: CheckpointUse): Promise<void> {
  const { driver, cpuType } = manifest.facts;
  const refuse = (what: string): never => {
    throw new SoulBoxError('state_incompatible', `Checkpoint "${stateId}" ${what}`);
  };
  if (driver !== use.driver) refuse(`was saved by the isolation "${driver}", not "${use.driver}".`);
  if (cpuType !== (await readCpuType())) refuse('was saved on a host whose CPU has other features.');
  try {
    await access(runtimeDirectoryOf(host, use.runtimeName));
  } catch {
    refuse('needs a version of envd that this host does not have any more.');
  }
}

/**
 * Processes no longer share what comes late: each gets pages of its own, as often as the saved pages hold them, and a child that
 * is forked meanwhile gets again what its parent still misses. So a quarter of the sandbox's memory must be free for that.
 */
function isWorthwhile({ manifest: { parts, facts } }: State): boolean {
  const pages = Object.entries(parts).filter(([partName]) => isPages(partName));
  const pageBytes = pages.reduce((sum, [, { sizeBytes }]) => sum + sizeBytes, 0);
  return pageBytes >= lateFromBytes && pageBytes <= facts.memoryMb * 2 ** 20 * lateMaxShare;
}
