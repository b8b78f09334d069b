import { readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '@soulbox/base';
import { runFolder } from '../host/names.ts';

/** runsc's `--root`. */
export function runtimeRoot(instance: number): string {
  return join(runFolder(instance), 'runsc');
}

/** What this driver reads of a state file of runsc (gVisor: runsc/container/state_file.go). */
export interface RuntimeState {
  /** Host pid of the process that opens files for the sandbox; its root is the sandbox's. 0 before it runs. */
  readonly goferPid: number;
  readonly isPaused: boolean;
  /** The file as it is. */
  readonly text: string;
}

const stateSuffix = '.state';

/** Every file of a sandbox begins with one of these; an id has neither `_` nor `-`. */
function fileNames(sandboxId: string): { readonly state: string; readonly all: readonly string[] } {
  const container = `${sandboxId}_sandbox:${sandboxId}`;
  const state = container + stateSuffix;
  return { state, all: [state, `${container}.lock`, `runsc-${sandboxId}.sock`] };
}

/** Synchronous: one small file in memory. Throws ENOENT when runsc knows no such sandbox. */
export function readRuntimeState(instance: number, sandboxId: string): RuntimeState {
  const text = readFileSync(join(runtimeRoot(instance), fileNames(sandboxId).state), 'utf8');
  const { goferPid = 0, status } = JSON.parse(text) as { goferPid?: number; status?: string };
  return { goferPid, isPaused: status === 'paused', text };
}

/**
 * Writes the file anew, as it was `before` and with another status if one is given, unless it says so already. runsc does not replace
 * the file in one step: one that is killed may leave it empty. As text, for its numbers are too large for JavaScript.
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

/** Lets runsc forget a sandbox whose processes have ended. Safe to repeat. */
export async function removeRuntimeState(instance: number, sandboxId: string): Promise<void> {
  const { state, all } = fileNames(sandboxId);
  // Beside the state file a half-written new one, where a server was killed while it mended it.
  const halves = (await readdir(runtimeRoot(instance)).catch(() => [])).filter((name) => name.startsWith(`${state}.`));
  for (const name of [...all, ...halves]) await rm(join(runtimeRoot(instance), name), { force: true });
}

/** Ids of the sandboxes that runsc has a file of. */
export async function listRuntimeStates(instance: number): Promise<string[]> {
  const names = await readdir(runtimeRoot(instance)).catch(() => []);
  return names.map((name) => /^(?:runsc-)?([a-z0-9]+)/.exec(name)?.[1] ?? '').filter((id) => id !== '');
}
