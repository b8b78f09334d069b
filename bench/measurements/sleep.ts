import { setTimeout as sleep } from 'node:timers/promises';
import type { Sandbox } from 'e2b';
import { defaultIsolation } from '@soulbox/contract';
import type { Isolation } from '@soulbox/contract';
import { ensureLargeTemplate, largeTemplate } from '../large-template.ts';
import { pauseInBackground } from '../lab.ts';
import type { Lab } from '../lab.ts';
import type { Figure, Measurement } from '../measurement.ts';
import { askResident, fillMemory, settleMs } from '../resident.ts';
import { timeMs } from '../time.ts';

/** A quarter of the usual rounds: each writes and reads all the memory. */
const share = 0.25;
const largeFromMb = 1024;
const largeShare = 0.08;
const sizesMb = [10, 500, 2048];

interface Aim {
  /** Of a durable pause and a resume, by MiB. Absent: none is set. */
  readonly pause: Readonly<Record<number, number>>;
  readonly resume: Readonly<Record<number, number>>;
  readonly quick?: number;
  readonly thaw?: number;
}

/** Other isolations have the default's. */
const aims = {
  container: { pause: { 10: 80, 500: 350, 2048: 1200 }, resume: { 10: 70, 500: 80, 2048: 80 }, quick: 4, thaw: 4 },
  gvisor: { pause: { 10: 200 }, resume: { 10: 200 } },
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
  const aim: Aim = (aims as Partial<Record<Isolation, Aim>>)[lab.isolation] ?? aims[defaultIsolation];
  const figure = (what: string, samples: number[], atMost: number | undefined): Figure => ({
    what: `${residentMb} MiB resident: ${what}`,
    unit: 'ms',
    samples,
    ...(atMost === undefined ? {} : { aims: [{ at: 'p50', atMost }] }),
  });
  return [
    figure('pause, durable', times.pause, aim.pause[residentMb]),
    figure('resume → first answer', times.resume, aim.resume[residentMb]),
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
  const quick = await timeMs(async () => await pauseInBackground(lab.warm, sandbox.sandboxId));
  // Until it is saved: an earlier resume would wait for that.
  await sleep(settleMs(residentMb));
  const thaw = await timeMs(answer);
  await sleep(settleMs(0));
  return { pause, resume, quick, thaw };
}

async function answerAfterConnect(sandbox: Sandbox, sandboxUrl: string, residentMb: number): Promise<void> {
  await sandbox.connect({ timeoutMs: 600_000 });
  const said = await askResident(sandboxUrl, sandbox.sandboxId);
  if (said !== residentMb) throw new Error(`the program inside said ${String(said)} instead of ${String(residentMb)}`);
}

function urlOf(lab: Lab): string {
  return lab.warm.clientEnvironment['E2B_SANDBOX_URL'] ?? '';
}
