import { readdir, readFile } from 'node:fs/promises';
import { run } from '@soulbox/base';
import type { SandboxSpec } from '../driver.ts';

const idsPerSandbox = 65_536;

/** All traces on the host of sandboxes that were not fully removed, one line each. */
export async function hostTraces(...specs: SandboxSpec[]): Promise<string[]> {
  const views = await Promise.all([
    run('cat', ['/proc/self/mountinfo']),
    run('losetup', ['--list', '--noheadings', '--output', 'NAME,BACK-FILE']),
    run('find', ['/sys/fs/cgroup', '/run', '-maxdepth', '5', '-type', 'd']).catch(() => ''),
    run('ps', ['-e', '-o', 'pid=,stat=,args=']),
  ]);
  const lines = views.flatMap((text) => text.split('\n'));
  const named = lines.filter((line) => specs.some((spec) => line.includes(spec.sandboxId)));
  return [...named, ...(await listProcesses(specs))];
}

async function listProcesses(specs: readonly SandboxSpec[]): Promise<string[]> {
  const pids = await pidsOf(specs);
  return await Promise.all(
    pids.map(async (pid) => `process ${pid} ${await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')}`),
  );
}

/** How often the threads of a sandbox have gone to sleep, and so have woken up. */
export async function sleepCount(spec: SandboxSpec): Promise<number> {
  let count = 0;
  for (const pid of await pidsOf([spec]))
    for (const thread of await readdir(`/proc/${pid}/task`).catch(() => [])) {
      const status = await readFile(`/proc/${pid}/task/${thread}/status`, 'utf8').catch(() => '');
      count += Number(/^voluntary_ctxt_switches:\t(\d+)/m.exec(status)?.[1] ?? 0);
    }
  return count;
}

/** Processes with a uid of the sandboxes' ranges; a zombie holds only its pid. */
async function pidsOf(specs: readonly SandboxSpec[]): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      const uid = Number(/^Uid:\t(\d+)/m.exec(status)?.[1]);
      const owned = specs.some(({ idBase }) => uid >= idBase && uid < idBase + idsPerSandbox);
      return owned && !/^State:\tZ/m.test(status) ? pid : undefined;
    }),
  );
  return found.filter((pid) => pid !== undefined);
}
