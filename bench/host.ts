import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { isNodeError, run } from '@soulbox/base';

/** Facts about the host, without which a number means nothing. */
export interface HostFacts {
  readonly cpuModel: string;
  readonly cores: number;
  readonly memoryMb: number;
  readonly kernel: string;
  readonly system: string;
  readonly node: string;
  /**
   * How long an idle processor of this virtual machine polls before it halts, in ns. Absent without the governor
   * `haltpoll`. Linux's default is 200,000. With 0, waking another processor can take 35 us longer (decision 075).
   */
  readonly guestHaltPollNs?: number;
  readonly commit: string;
  /** One-minute load before the first measurement: above 0.5, something else was running too. */
  readonly loadBefore: number;
}

/** `clone`: the folder of the version that is measured, if it is not this one. */
export async function readHostFacts(clone?: string): Promise<HostFacts> {
  const repository = clone ?? new URL('..', import.meta.url).pathname;
  const git = async (...args: string[]): Promise<string> => (await run('git', ['-C', repository, ...args])).trim();
  const commit = await git('rev-parse', '--short=12', 'HEAD').catch(() => 'unknown');
  const changed = await git('status', '--porcelain', '--untracked-files=no').catch(() => '');
  return {
    cpuModel: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryMb: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    system: /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown',
    node: process.version,
    ...readGuestHaltPoll(),
    commit: changed === '' ? commit : `${commit} with uncommitted changes`,
    loadBefore: loadavg()[0] ?? Number.NaN,
  };
}

function readGuestHaltPoll(): Pick<HostFacts, 'guestHaltPollNs'> {
  try {
    if (readFileSync('/sys/devices/system/cpu/cpuidle/current_governor', 'utf8').trim() !== 'haltpoll') return {};
    return { guestHaltPollNs: Number(readFileSync('/sys/module/haltpoll/parameters/guest_halt_poll_ns', 'utf8')) };
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return {};
    throw error;
  }
}

export function describeHost(host: HostFacts): string {
  const machine = `${host.cpuModel}, ${host.cores} cores, ${host.memoryMb} MiB`;
  const software = `${host.system}, kernel ${host.kernel}, Node ${host.node}`;
  const poll = host.guestHaltPollNs === undefined ? '' : `; guest halt poll ${host.guestHaltPollNs} ns`;
  return `host:   ${machine}${poll}; ${software}; load ${host.loadBefore.toFixed(2)}\ncommit: ${host.commit}`;
}
