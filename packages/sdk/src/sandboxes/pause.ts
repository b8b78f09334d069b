import { callApi, callUnlessGone, segment } from '../api.ts';
import type { Connection, ConnectionOptions } from '../config.ts';
import { SoulBoxError } from '../error.ts';

/** The options of a pause. */
export interface PauseOptions extends ConnectionOptions {
  /** False: only the disk is kept, and the sandbox boots when it is resumed. Default: true. */
  readonly keepMemory?: boolean | undefined;
  /** `in-background`: return once the sandbox is frozen; its memory is saved afterwards. Default: `on-return`. */
  readonly durability?: 'on-return' | 'in-background' | undefined;
}

/** False if it was paused. Throws `sandbox_not_found`. @internal */
export async function pauseSandbox(connection: Connection, sandboxId: string, options: PauseOptions): Promise<boolean> {
  const { keepMemory = true, durability } = options;
  const path = `/sandboxes/${segment(sandboxId)}/pause`;
  try {
    await callApi(connection, { method: 'POST', path, body: { memory: keepMemory, durability } });
    return true;
  } catch (error) {
    if (error instanceof SoulBoxError && error.status === 409) return false;
    throw error;
  }
}

/** False if it does not exist. @internal */
export async function killSandbox(connection: Connection, sandboxId: string): Promise<boolean> {
  return await callUnlessGone(connection, { method: 'DELETE', path: `/sandboxes/${segment(sandboxId)}` });
}
