import { access } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';
import type { Driver, SavedMemory } from '@soulbox/isolation';
import type { State } from '@soulbox/states';
import { readCpuType } from '../../host/cpu-type.ts';
import { getDriver } from '../host.ts';
import type { SandboxHost } from '../host.ts';

/** What a saved memory is to be brought back for. */
export interface StateUse {
  readonly stateId: string;
  /** Frozen disks below, topmost first. */
  readonly layers: readonly string[];
  readonly driver: string;
  readonly runtimeDirectory: string;
}

/**
 * The saved memory, checked: nothing is started from a state that is incomplete, altered or made for another host. Where
 * the driver can read pages late, these are left for it to check. Throws `state_damaged`, `state_incompatible`.
 */
export async function checkMemory(host: SandboxHost, use: StateUse): Promise<SavedMemory> {
  const driver = getDriver(host, use.driver);
  const state = await host.states.open(use.stateId);
  await checkFit(state, use);
  await checkLayers(host, use.layers);
  await state.verify((partName) => !isLate(driver, partName));
  return memoryOf(host, use.driver, state);
}

/** A memory that needs no check, because this server has just saved it. */
export function memoryOf(host: Pick<SandboxHost, 'drivers'>, driverName: string, state: State): SavedMemory {
  const driver = getDriver(host, driverName);
  return { directory: state.directory, digests: state.digestsOf((partName) => isLate(driver, partName)) };
}

/** Checks frozen disks, each once in the life of the server. Throws `state_damaged`. */
export async function checkLayers(host: SandboxHost, layers: readonly string[]): Promise<void> {
  await Promise.all(layers.map(async (layerId) => await host.states.verifyLayer(layerId)));
}

async function checkFit({ stateId, manifest }: State, use: StateUse): Promise<void> {
  const { driver, cpuType } = manifest.facts;
  const refuse = (what: string): never => {
    throw new SoulBoxError('state_incompatible', `State ${stateId} ${what}`);
  };
  if (driver !== use.driver) refuse(`was saved by the isolation "${driver}", not "${use.driver}".`);
  if (cpuType !== (await readCpuType())) refuse('was saved on a host whose CPU has other features.');
  try {
    await access(use.runtimeDirectory);
  } catch {
    refuse('needs a version of envd that this host does not have any more.');
  }
}

/** Whether a part is checked only as it is read: the large one, see save.ts. */
function isLate({ capabilities }: Driver, partName: string): boolean {
  return capabilities.lazyRestore && /^pages-\d+\.img$/.test(partName);
}
