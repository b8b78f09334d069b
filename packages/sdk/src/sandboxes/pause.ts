import { callApi, callUnlessGone, segment } from '../api.ts';
import type { Connection, ConnectionOptions } from '../config.ts';
import { SoulBoxError } from '../error.ts';

/** The options of a pause. `keepMemory` is that of e2b 2.51.0. */
export interface PauseOptions extends ConnectionOptions {
  /** False: only the disk is kept, and the sandbox boots when it is resumed. Default: true. */
  readonly keepMemory?: boolean | undefined;
  /**
   * When the call returns. `on-return`: the memory is safe on the disk. `in-background`: the sandbox is frozen; a crash
   * of the host before its memory is saved loses it. Default: the setting of the server, normally `on-return`.
   */
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
    if (error instanceof SoulBoxError && error.reason === 'already_paused') return false;
    throw error;
  }
}

/** False if it does not exist. @internal */
export async function killSandbox(connection: Connection, sandboxId: string): Promise<boolean> {
  return await callUnlessGone(connection, { method: 'DELETE', path: `/sandboxes/${segment(sandboxId)}` });
}
