import { readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '@soulbox/base';
import { runFolder } from '../host/names.ts';

/** runsc's `--root`. */
export function runtimeRoot(instance: number): string {
  return join(runFolder(instance), 'runsc');
}

/** The fields that this driver reads from a state file of runsc (gVisor: runsc/container/state_file.go). */
export interface RuntimeState {
  /** Host pid of the process that opens files for the sandbox; its root is the sandbox's. 0 before it runs. */
  readonly goferPid: number;
  readonly isPaused: boolean;
  /** The unchanged text of the file. */
  readonly text: string;
}

const stateSuffix = '.state';

/** Every file name of a sandbox begins with one of these; an id contains neither `_` nor `-`. */
function fileNames(sandboxId: string): { readonly state: string; readonly all: readonly string[] } {
  const container = `${sandboxId}_sandbox:${sandboxId}`;
  const state = container + stateSuffix;
  return { state, all: [state, `${container}.lock`, `runsc-${sandboxId}.sock`] };
}

/** Synchronous: one small file in memory. Throws ENOENT if runsc does not know the sandbox. */
export function readRuntimeState(instance: number, sandboxId: string): RuntimeState {
  const text = readFileSync(join(runtimeRoot(instance), fileNames(sandboxId).state), 'utf8');
  const { goferPid = 0, status } = JSON.parse(text) as { goferPid?: number; status?: string };
  return { goferPid, isPaused: status === 'paused', text };
}

/**
 * Writes the file again as it was `before`, with another status if one is given, unless it has that content already.
 * runsc does not replace the file atomically: a killed runsc may leave it empty. The content is handled as text,
 * because its numbers are too large for JavaScript.
 */
export async function mendRuntimeState(
  instance: number,
  sandboxId: string,
  before: RuntimeState,
  isPaused?: boolean,
): Promise<void> {
  const now = tryRead(instance, sandboxId);
  if (now !== undefined && (isPaused ?? now.isPaused) === now.isPaused) return;
  const status = (isPaused ?? before.isPaused) ? 'paused' : 'running';
  const text = before.text.replace(/"status":"(?:paused|running)"/, `"status":"${status}"`);
  await writeFileAtomic(join(runtimeRoot(instance), fileNames(sandboxId).state), text);
}

function tryRead(instance: number, sandboxId: string): RuntimeState | undefined {
  try {
    return readRuntimeState(instance, sandboxId);
  } catch {
    return undefined;
  }
}

/** Removes runsc's state of a sandbox whose processes have ended. Can be repeated. */
export async function removeRuntimeState(instance: number, sandboxId: string): Promise<void> {
  const { state, all } = fileNames(sandboxId);
  // There is a half-written new file beside the state file if a server was killed while it corrected the file.
  const halves = (await readdir(runtimeRoot(instance)).catch(() => [])).filter((name) => name.startsWith(`${state}.`));
  for (const name of [...all, ...halves]) await rm(join(runtimeRoot(instance), name), { force: true });
}

/** Ids of the sandboxes for which runsc has a file. */
export async function listRuntimeStates(instance: number): Promise<string[]> {
  const names = await readdir(runtimeRoot(instance)).catch(() => []);
  return names.map((name) => /^(?:runsc-)?([a-z0-9]+)/.exec(name)?.[1] ?? '').filter((id) => id !== '');
}
