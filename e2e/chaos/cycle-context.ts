import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox, SandboxNotFoundError } from 'e2b';
import type { WorkerCounts } from './messages.ts';
import { untilAnswered } from './patience.ts';
import type { Random } from './random.ts';

/** A sandbox that was reported to the client, with the reported facts. */
export interface Told {
  readonly sandbox: Sandbox;
  readonly token: string;
  readonly endAtMs: number;
}

export interface CycleContext {
  /** Seconds between two steps of the programs inside. */
  readonly beat: number;
  readonly random: Random;
  readonly counts: WorkerCounts;
  readonly kept: Told[];
  readonly violations: string[];
}

/** Shared by all lanes before they start. */
export function createTally(): Omit<CycleContext, 'random' | 'beat'> {
  const counts = {
    ...{ cycles: 0, commands: 0, killed: 0, expired: 0, kept: 0, createsCutOff: 0, retries: 0 },
    ...{ slept: 0, pauses: 0, forks: 0, copiesFailed: 0, snapshots: 0, copies: 0 },
  };
  return { counts, kept: [], violations: [] };
}

export async function awaitServer(): Promise<void> {
  await (await fetch(`${process.env['E2B_API_URL'] ?? ''}/health`)).body?.cancel();
}

/** `fine`, or the fault. */
export async function runCommand(context: CycleContext, { sandbox }: Told): Promise<string> {
  const word = Math.floor(context.random.between(0, 2 ** 31)).toString(36);
  const stdout = await runPatiently(context, sandbox, `printf ${word}`);
  if (stdout === undefined) return 'gone before its end, or its envd did not answer';
  return stdout === word ? 'fine' : `a command wrote ${JSON.stringify(stdout)} instead of ${word}`;
}

/**
 * The output of a command that may be run more than once. Undefined if the sandbox is gone or never answers. Every
 * error is examined, because the client reports an unavailable server as a missing sandbox.
 */
export async function runPatiently(
  context: CycleContext,
  sandbox: Sandbox,
  command: string,
): Promise<string | undefined> {
  for (let attempt = 0; attempt < 200; attempt++) {
    try {
      const { stdout } = await sandbox.commands.run(command);
      context.counts.commands++;
      return stdout;
    } catch {
      context.counts.retries++;
      if (!(await exists(context, sandbox.sandboxId))) return undefined;
      await sleep(25);
    }
  }
  return undefined;
}

export async function exists(context: CycleContext, sandboxId: string): Promise<boolean> {
  return (await findInfo(context, sandboxId)) !== undefined;
}

export async function findInfo(
  context: CycleContext,
  sandboxId: string,
): Promise<Awaited<ReturnType<typeof Sandbox.getInfo>> | undefined> {
  return await untilAnswered(async () => {
    try {
      return await Sandbox.getInfo(sandboxId);
    } catch (error) {
      if (error instanceof SandboxNotFoundError) return undefined;
      throw error;
    }
  }, countRetry(context.counts));
}

export function countRetry(counts: WorkerCounts): () => void {
  return () => {
    counts.retries++;
  };
}
