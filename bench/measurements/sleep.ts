import type { Sandbox } from 'e2b';
import type { Lab } from '../lab.ts';
import type { Figure, Measurement } from '../measurement.ts';
import { askResident, fillMemory } from '../resident.ts';
import { timeMs } from '../time.ts';

/** A quarter of the usual rounds: each writes and reads all the memory. */
const share = 0.25;
const sizesMb = [10, 500];
/** What we promise, in ms: a pause's fixed part and its part per GiB, one in the background, and a resume of any size. */
const aims = {
  container: { pause: 80, pausePerGb: 600, inBackground: 5, resume: 80 },
  // runsc is a program to be started for each step.
  gvisor: { pause: 200, pausePerGb: 800, inBackground: 50, resume: 250 },
} as const;

/** Pause and resume by resident memory; a resume counts until a program inside has answered. */
export const sleepAndWake: Measurement = {
  name: 'sleep',
  async run(lab) {
    const figures: Figure[] = [];
    for (const residentMb of sizesMb) figures.push(...(await measure(lab, residentMb)));
    return figures;
  },
};

async function measure(lab: Lab, residentMb: number): Promise<Figure[]> {
  const sandbox = await lab.create(lab.warm);
  const sandboxUrl = lab.warm.clientEnvironment['E2B_SANDBOX_URL'] ?? '';
  await fillMemory(sandbox, sandboxUrl, residentMb);
  const pause: number[] = [];
  const resume: number[] = [];
  const quick: number[] = [];
  const rounds = Math.max(5, Math.round(lab.rounds * share));
  for (let round = -1; round < rounds; round++) {
    lab.progress(`sleep, ${String(residentMb)} MiB, round ${String(round)} of ${String(rounds)}`);
    const pausedMs = await timeMs(async () => await sandbox.pause());
    const resumedMs = await timeMs(async () => await answerAfterConnect(sandbox, sandboxUrl, residentMb));
    const quickMs = await timeMs(async () => await pauseInBackground(lab, sandbox));
    await answerAfterConnect(sandbox, sandboxUrl, residentMb);
    if (round < 0) continue;
    pause.push(pausedMs);
    resume.push(resumedMs);
    quick.push(quickMs);
  }
  await sandbox.kill();
  const size = `${String(residentMb)} MiB resident`;
  const aim = aims[lab.isolation];
  const pauseAim = aim.pause + (aim.pausePerGb * residentMb) / 1024;
  return [
    { what: `pause, ${size}, durable`, unit: 'ms', samples: pause, aims: [{ at: 'p50', atMost: pauseAim }] },
    {
      what: `pause, ${size}, in background`,
      unit: 'ms',
      samples: quick,
      aims: [{ at: 'p50', atMost: aim.inBackground }],
    },
    { what: `resume → first answer, ${size}`, unit: 'ms', samples: resume, aims: [{ at: 'p50', atMost: aim.resume }] },
  ];
}

async function answerAfterConnect(sandbox: Sandbox, sandboxUrl: string, residentMb: number): Promise<void> {
  await sandbox.connect({ timeoutMs: 600_000 });
  const said = await askResident(sandboxUrl, sandbox.sandboxId);
  if (said !== residentMb) throw new Error(`the program inside said ${String(said)} instead of ${String(residentMb)}`);
}

/** SoulBox's own field of the pause call; the official client has none for it. */
async function pauseInBackground(lab: Lab, sandbox: Sandbox): Promise<void> {
  const { E2B_API_URL: url = '', E2B_API_KEY: key = '' } = lab.warm.clientEnvironment;
  const response = await fetch(`${url}/sandboxes/${sandbox.sandboxId}/pause`, {
    method: 'POST',
    headers: { 'x-api-key': key, 'content-type': 'application/json' },
    body: JSON.stringify({ durability: 'in-background' }),
  });
  if (response.status !== 204) throw new Error(`pause: ${String(response.status)} ${await response.text()}`);
}
