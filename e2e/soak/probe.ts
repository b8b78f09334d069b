import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from 'e2b';

/** The usual calls of a user, with their durations. */
export interface Latencies {
  readonly alone: number[];
  readonly attacked: number[];
}

const pauseMs = 25;

/** Makes normal calls in sequence until it is stopped. Throws if a call fails. */
export async function keepProbing(probed: Sandbox, durations: number[], stop: AbortSignal): Promise<void> {
  const calls: readonly (() => Promise<unknown>)[] = [
    async () => await (await fetch(`${process.env['E2B_API_URL'] ?? ''}/health`)).arrayBuffer(),
    async () => await Sandbox.getInfo(probed.sandboxId),
    async () => await probed.commands.run('true'),
    async () => await probed.files.read('/etc/hostname'),
    async () => await Sandbox.list({ limit: 5 }).nextItems(),
  ];
  for (let n = 0; !stop.aborted; n++) {
    const startedAt = performance.now();
    await calls[n % calls.length]?.();
    durations.push(performance.now() - startedAt);
    await sleep(pauseMs);
  }
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
