import { setTimeout as sleep } from 'node:timers/promises';
import type { Sandbox } from 'e2b';
import { defaultIsolation } from '@soulbox/contract';
import type { Isolation } from '@soulbox/contract';
import { ensureLargeTemplate, largeTemplate } from '../large-template.ts';
import type { Lab } from '../lab.ts';
import type { Figure, Measurement } from '../measurement.ts';
import { askResident, fillMemory } from '../resident.ts';
import { timeMs } from '../time.ts';

/** A quarter of the usual rounds: each writes and reads all the memory. */
const share = 0.25;
const largeFromMb = 1024;
const largeShare = 0.08;
const sizesMb = [10, 500, 2048];

interface Aim {
  readonly pause: { readonly base: number; readonly perGib: number };
  readonly quick: number;
  readonly thaw: number;
  readonly resume: number;
}

/**
 * The targets by isolation: of a durable pause by size, and of a resume for any size. Other isolations have the
 * default's targets.
 */
const aims = {
  container: { pause: { base: 80, perGib: 600 }, quick: 5, thaw: 5, resume: 80 },
  gvisor: { pause: { base: 200, perGib: 800 }, quick: 5, thaw: 5, resume: 250 },
} satisfies Partial<Record<Isolation, Aim>> & Record<typeof defaultIsolation, Aim>;

/** Pause and resume by resident memory; a resume counts until a program inside has responded. */
export const sleepAndWake: Measurement = {
  name: 'sleep',
  async *run(lab) {
    await ensureLargeTemplate();
    for (const residentMb of sizesMb) yield* await measure(lab, residentMb);
  },
};

async function measure(lab: Lab, residentMb: number): Promise<Figure[]> {
  const isLarge = residentMb >= largeFromMb;
  const sandbox = await lab.create(lab.warm, isLarge ? largeTemplate : undefined);
  const times = { pause: [] as number[], resume: [] as number[], quick: [] as number[], thaw: [] as number[] };
  try {
    await fillMemory(sandbox, urlOf(lab), residentMb);
    const rounds = Math.max(5, Math.round(lab.rounds * (isLarge ? largeShare : share)));
    for (let round = -1; round < rounds; round++) {
      lab.progress(`sleep, ${residentMb} MiB, round ${round} of ${rounds}`);
      const sample = await sampleOnce(lab, sandbox, residentMb);
      if (round < 0) continue;
      for (const name of Object.keys(times) as (keyof typeof times)[]) times[name].push(sample[name]);
    }
  } finally {
    await sandbox.kill();
  }
  const aim = (aims as Partial<Record<Isolation, Aim>>)[lab.isolation] ?? aims[defaultIsolation];
  const pauseAim = aim.pause.base + (aim.pause.perGib * residentMb) / 1024;
  const figure = (what: string, samples: number[], atMost: number): Figure => ({
    what: `${residentMb} MiB resident: ${what}`,
    unit: 'ms',
    samples,
    aims: [{ at: 'p50', atMost: Math.round(atMost) }],
  });
  return [
    figure('pause, durable', times.pause, pauseAim),
    figure('resume → first answer', times.resume, aim.resume),
    figure('pause, in background', times.quick, aim.quick),
    figure('thaw → first answer', times.thaw, aim.thaw),
  ];
}

async function sampleOnce(
  lab: Lab,
  sandbox: Sandbox,
  residentMb: number,
): Promise<Record<'pause' | 'resume' | 'quick' | 'thaw', number>> {
  const answer = async (): Promise<void> => await answerAfterConnect(sandbox, urlOf(lab), residentMb);
  const pause = await timeMs(async () => await sandbox.pause());
  const resume = await timeMs(answer);
  // Its memory is loaded, and its checkpoint is removed.
  await sleep(settleMs(residentMb));
  const quick = await timeMs(async () => await pauseInBackground(lab, sandbox));
  // Until it is saved: an earlier resume would wait for that.
  await sleep(settleMs(residentMb));
  const thaw = await timeMs(answer);
  await sleep(settleMs(0));
  return { pause, resume, quick, thaw };
}

/** Enough time to read or write this memory, and shorter than the grace period of a pause in the background. */
function settleMs(residentMb: number): number {
  return 300 + 2 * residentMb;
}

async function answerAfterConnect(sandbox: Sandbox, sandboxUrl: string, residentMb: number): Promise<void> {
  await sandbox.connect({ timeoutMs: 600_000 });
  const said = await askResident(sandboxUrl, sandbox.sandboxId);
  if (said !== residentMb) throw new Error(`the program inside said ${String(said)} instead of ${String(residentMb)}`);
}

/** SoulBox's own field of the pause call; the official client does not have it. */
async function pauseInBackground(lab: Lab, sandbox: Sandbox): Promise<void> {
  const path = `/sandboxes/${sandbox.sandboxId}/pause`;
  const status = await lab.call(lab.warm, 'POST', path, { durability: 'in-background' });
  if (status !== 204) throw new Error(`pause: ${status}`);
}

function urlOf(lab: Lab): string {
  return lab.warm.clientEnvironment['E2B_SANDBOX_URL'] ?? '';
}
