import { Sandbox } from 'e2b';
import { onTestFinished } from 'vitest';
import { createSandbox } from '../harness/sandbox.ts';
import { until } from '../harness/until.ts';

/** A program that people run in a sandbox. It must continue after a pause and in copies. */
export interface Workload {
  /** Starts it and waits until it works. */
  readonly start: (sandbox: Sandbox) => Promise<void>;
  /** Throws unless it works and still has its earlier state. */
  readonly check: (sandbox: Sandbox) => Promise<void>;
}

/** Runs it in a sandbox that is paused, resumed and then forked twice. It must continue in all of them. */
export async function expectSurvival(workload: Workload): Promise<void> {
  const sandbox = await createSandbox({ timeoutMs: 600_000 });
  await workload.start(sandbox);
  await sandbox.pause();
  await sandbox.connect({ timeoutMs: 600_000 });
  await workload.check(sandbox);
  await sandbox.files.write('/tmp/last-round', '');
  const forks = await sandbox.fork({ count: 2, timeoutMs: 600_000 });
  onTestFinished(async () => {
    for (const fork of forks) if (fork instanceof Sandbox) await fork.kill();
  });
  for (const fork of forks) {
    if (!(fork instanceof Sandbox)) throw fork;
    await workload.check(fork);
  }
  await workload.check(sandbox);
}

/** Whether the sandbox was told that the next check is the last one. */
export async function isLast(sandbox: Sandbox): Promise<boolean> {
  return await sandbox.files.exists('/tmp/last-round');
}

export async function sh(sandbox: Sandbox, command: string, timeoutMs = 50_000): Promise<string> {
  return (await sandbox.commands.run(command, { timeoutMs })).stdout.trim();
}

/** Starts a command that keeps running. */
export async function background(sandbox: Sandbox, command: string): Promise<void> {
  const handle = await sandbox.commands.run(command, { background: true, timeoutMs: 0 });
  handle.wait().catch(() => undefined);
}

/** Waits until a command prints the expected text. */
export async function answers(sandbox: Sandbox, command: string, wanted: RegExp): Promise<void> {
  await until(
    `${command} answers ${String(wanted)}`,
    async () => wanted.test(await sh(sandbox, `${command} 2>/dev/null || true`)),
    60_000,
  );
}
