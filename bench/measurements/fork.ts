import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from 'e2b';
import type { Lab } from '../lab.ts';
import type { Figure, Measurement } from '../measurement.ts';
import { findSandboxProcesses, privateMb } from '../processes.ts';
import { askResident, fillMemory } from '../resident.ts';
import { timeMs } from '../time.ts';

const residentMb = 100;
const rounds = 5;
const wakeRounds = 20;
const sizes = [
  { count: 1, atMost: 110 },
  { count: 10, atMost: 500 },
  { count: 50, atMost: 2500 },
];

/** Copies of a sandbox of about 110 MiB, until a program in every copy has responded through the gateway. */
export const fork: Measurement = {
  name: 'fork',
  async *run(lab) {
    const sandboxUrl = lab.warm.clientEnvironment['E2B_SANDBOX_URL'] ?? '';
    const source = await lab.create(lab.warm);
    await fillMemory(source, sandboxUrl, residentMb);
    for (const { count, atMost } of sizes) yield* await measure(lab, source, count, atMost, sandboxUrl);
    yield* await measureSnapshot(lab, source, sandboxUrl);
    yield await measureWake(lab, sandboxUrl);
    await source.kill();
  },
};

async function measure(
  lab: Lab,
  source: Sandbox,
  count: number,
  atMost: number,
  sandboxUrl: string,
): Promise<readonly Figure[]> {
  const whole: number[] = [];
  let memory: readonly number[] = [];
  for (let round = -1; round < rounds; round++) {
    lab.progress(`fork ×${String(count)}, round ${String(round)} of ${String(rounds)}`);
    let copies: Sandbox[] = [];
    const ms = await timeMs(async () => {
      const results = await source.fork({ count, timeoutMs: 600_000 });
      copies = results.filter((result) => result instanceof Sandbox);
      if (copies.length !== count) throw new Error(`only ${String(copies.length)} of ${String(count)} copies`);
      await Promise.all(copies.map(async ({ sandboxId }) => await askResident(sandboxUrl, sandboxId)));
    });
    if (round >= 0) whole.push(ms);
    if (round === rounds - 1) memory = await memoryOf(lab, copies);
    await Promise.all(copies.map(async (copy) => await copy.kill()));
  }
  return [
    { what: `fork ×${String(count)} → all answer`, unit: 'ms', samples: whole, aims: [{ at: 'p50', atMost }] },
    {
      what: `fork ×${String(count)}, private memory a copy`,
      unit: 'MiB',
      samples: memory,
      aims: [{ at: 'p50', atMost: 20 }],
    },
  ];
}

async function memoryOf(lab: Lab, copies: readonly Sandbox[]): Promise<number[]> {
  await sleep(3000);
  const processes = findSandboxProcesses(lab.warm.instance);
  return copies.map(({ sandboxId }) => (processes.get(sandboxId) ?? []).reduce((sum, pid) => sum + privateMb(pid), 0));
}

/** How long the source is frozen: the longest gap between two responses while a snapshot is made. */
async function measureSnapshot(lab: Lab, source: Sandbox, sandboxUrl: string): Promise<readonly Figure[]> {
  const { E2B_API_KEY: apiKey = '', E2B_API_URL: apiUrl = '' } = lab.warm.clientEnvironment;
  const stops: number[] = [];
  const creates: number[] = [];
  for (let round = 0; round < rounds; round++) {
    lab.progress(`snapshot, round ${String(round)} of ${String(rounds)}`);
    const watch = watchGaps(async () => (await askResident(sandboxUrl, source.sandboxId)) !== undefined);
    const { snapshotId } = await source.createSnapshot();
    await sleep(300);
    stops.push(await watch.end());
    creates.push(
      await timeMs(async () => {
        const copy = await Sandbox.create(snapshotId, { apiKey, apiUrl, sandboxUrl });
        await askResident(sandboxUrl, copy.sandboxId);
        await copy.kill();
      }),
    );
    await fetch(`${apiUrl}/templates/${encodeURIComponent(snapshotId)}`, {
      method: 'DELETE',
      headers: { 'x-api-key': apiKey },
    });
  }
  return [
    { what: 'snapshot, source does not answer', unit: 'ms', samples: stops, aims: [{ at: 'p50', atMost: 60 }] },
    { what: 'create from a snapshot → first answer', unit: 'ms', samples: creates },
  ];
}

/** From a request for a paused sandbox with `autoResume` to the first byte of its response. */
async function measureWake(lab: Lab, sandboxUrl: string): Promise<Figure> {
  const { E2B_API_KEY: apiKey = '', E2B_API_URL: apiUrl = '' } = lab.warm.clientEnvironment;
  const lifecycle = { onTimeout: 'pause', autoResume: true } as const;
  const sandbox = await Sandbox.create({ apiKey, apiUrl, sandboxUrl, timeoutMs: 600_000, lifecycle });
  await fillMemory(sandbox, sandboxUrl, 10);
  const samples: number[] = [];
  for (let round = -1; round < wakeRounds; round++) {
    lab.progress(`auto-resume, round ${String(round)} of ${String(wakeRounds)}`);
    await sandbox.pause();
    const ms = await timeMs(async () => await askResident(sandboxUrl, sandbox.sandboxId));
    if (round >= 0) samples.push(ms);
  }
  await sandbox.kill();
  return {
    what: 'auto-resume of 10 MiB by a request → its answer',
    unit: 'ms',
    samples,
    aims: [{ at: 'p50', atMost: 75 }],
  };
}

/** Calls `answers` repeatedly; `end` returns the longest time between two successes, in ms. */
function watchGaps(answers: () => Promise<boolean>): { end(): Promise<number> } {
  let stopped = false;
  let longest = 0;
  const run = (async () => {
    let last = performance.now();
    while (!stopped) {
      const fine = await answers().catch(() => false);
      const now = performance.now();
      if (fine) {
        longest = Math.max(longest, now - last);
        last = now;
      }
      await sleep(2);
    }
  })();
  return {
    end: async () => {
      stopped = true;
      await run;
      return longest;
    },
  };
}
