import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from 'e2b';
import type { ServerProcess } from '@soulbox/testing';
import type { Lab } from '../lab.ts';
import type { Figure, Measurement } from '../measurement.ts';
import { findSandboxProcesses, privateMb } from '../processes.ts';
import { timeMs } from '../time.ts';

const booted = 'booted on demand';
const count = 20;
/** Milliseconds of a boot, and of its CPU time. */
const aims = { time: 50, cpu: 45 };
/** USER_HZ, the unit of proc_stat(5). */
const ticksPerSecond = 100;
const settleMs = 2000;

/**
 * Whether spares should be booted or restored from one warmed image (docs/decisions/007): time, CPU of the whole host
 * and private memory of a sandbox created in each way, on a server without a pool. The CPU figures are valid only on an
 * idle host.
 */
export const pool: Measurement = {
  name: 'pool',
  async *run(lab) {
    const cold = await lab.cold();
    const source = await lab.create(cold);
    await source.commands.run('true');
    const { snapshotId } = await source.createSnapshot();
    const templateOf = { [booted]: 'base', 'restored from a snapshot': snapshotId } as const;
    for (const [way, template] of Object.entries(templateOf)) yield* await measure(lab, cold, way, template);
    await source.kill();
  },
};

async function measure(lab: Lab, server: ServerProcess, way: string, template: string): Promise<Figure[]> {
  const {
    E2B_API_KEY: apiKey = '',
    E2B_API_URL: apiUrl = '',
    E2B_SANDBOX_URL: sandboxUrl = '',
  } = server.clientEnvironment;
  const make = async (): Promise<Sandbox> =>
    await Sandbox.create(template, { apiKey, apiUrl, sandboxUrl, timeoutMs: 600_000 });
  await (await make()).kill();
  await sleep(settleMs);
  const sandboxes: Sandbox[] = [];
  const times: number[] = [];
  const before = busySeconds();
  for (let index = 0; index < count; index++) {
    lab.progress(`sandboxes ${way}, ${index + 1} of ${count}`);
    times.push(await timeMs(async () => void sandboxes.push(await make())));
  }
  const cpuMs = ((busySeconds() - before) * 1000) / count;
  await sleep(settleMs);
  const processes = findSandboxProcesses(server.instance);
  const memory = sandboxes.map(({ sandboxId }) =>
    (processes.get(sandboxId) ?? []).reduce((sum, pid) => sum + privateMb(pid), 0),
  );
  await Promise.all(sandboxes.map(async (sandbox) => await sandbox.kill()));
  await sleep(settleMs);
  const aimOf = (atMost: number): Pick<Figure, 'aims'> => (way === booted ? { aims: [{ at: 'p50', atMost }] } : {});
  return [
    { what: `a sandbox ${way}`, unit: 'ms', samples: times, ...aimOf(aims.time) },
    { what: `a sandbox ${way}, CPU of the host`, unit: 'ms', samples: [cpuMs], ...aimOf(aims.cpu) },
    { what: `a sandbox ${way}, private memory`, unit: 'MiB', samples: memory },
  ];
}

/** CPU time of everything on the host except idle and wait time. */
function busySeconds(): number {
  const fields = (readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? '').split(/ +/).slice(1).map(Number);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0] = fields;
  return (user + nice + system + irq + softIrq) / ticksPerSecond;
}
