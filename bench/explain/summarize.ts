import { percentile } from '../statistics.ts';
import { msPerSample } from './perf.ts';
import type { TraceEvent } from './perf.ts';

/** A time of one operation, in milliseconds of `process.hrtime`. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Explained {
  /** Of the round whose time is the median, after its begin. */
  readonly programs: readonly { readonly afterMs: number; readonly name: string }[];
  /** Of each round, in the median. */
  readonly programCount: number;
  readonly forkCount: number;
  /** CPU milliseconds of each round, by the name of the thread, behind that of the part of the server. The largest first. */
  readonly cpu: readonly { readonly name: string; readonly ms: number; readonly kernelMs: number }[];
  /** The part of `cpu` that is in the kernel, by thread and what it asked the kernel for. The largest first. */
  readonly calls: readonly { readonly name: string; readonly ms: number }[];
  /** In the form that flame graph programs read: `a;b;c 12`. Samples. */
  readonly folded: readonly string[];
}

/**
 * Of the parts of a server, and of what they start. Others of the host are not counted. `parts`: the name of each by its
 * pid.
 */
export async function explain(
  events: AsyncIterable<TraceEvent>,
  spans: readonly Span[],
  parts: ReadonlyMap<number, string>,
): Promise<Explained> {
  const ours = new Set(parts.keys());
  const rounds = spans.map((span) => ({ ...span, forks: 0, programs: [] as { afterMs: number; name: string }[] }));
  const cpu = new Map<string, { samples: number; inKernel: number }>();
  const calls = new Map<string, number>();
  const folded = new Map<string, number>();
  for await (const event of events) {
    if (event.kind === 'fork' && ours.has(event.parent)) ours.add(event.pid);
    if (!ours.has(event.pid)) continue;
    const round = rounds.find(({ fromMs, toMs }) => event.atMs >= fromMs && event.atMs <= toMs);
    if (round === undefined) continue;
    if (event.kind === 'fork') round.forks += 1;
    else if (event.kind === 'program') round.programs.push({ afterMs: event.atMs - round.fromMs, name: event.name });
    else {
      const name = [parts.get(event.pid), event.frames[0] ?? ''].filter((word) => word !== undefined).join(' ');
      const known = cpu.get(name) ?? { samples: 0, inKernel: 0 };
      const call = kernelCallOf(event.frames);
      cpu.set(name, { samples: known.samples + 1, inKernel: known.inKernel + Number(call !== undefined) });
      if (call !== undefined) calls.set(`${name}: ${call}`, (calls.get(`${name}: ${call}`) ?? 0) + 1);
      const line = event.frames.map((frame) => frame.replaceAll(';', ':')).join(';');
      folded.set(line, (folded.get(line) ?? 0) + 1);
    }
  }
  const durations = rounds.map(({ fromMs, toMs }) => toMs - fromMs);
  const median = rounds[durations.indexOf(percentile(durations, 0.5))];
  const perRound = (samples: number): number => (samples * msPerSample) / Math.max(1, rounds.length);
  return {
    programs: median?.programs ?? [],
    programCount: percentile(
      rounds.map(({ programs }) => programs.length),
      0.5,
    ),
    forkCount: percentile(
      rounds.map(({ forks }) => forks),
      0.5,
    ),
    cpu: [...cpu]
      .map(([name, { samples, inKernel }]) => ({ name, ms: perRound(samples), kernelMs: perRound(inKernel) }))
      .toSorted((one, other) => other.ms - one.ms),
    calls: [...calls]
      .map(([name, samples]) => ({ name, ms: perRound(samples) }))
      .toSorted((one, other) => other.ms - one.ms),
    folded: [...folded].map(([line, count]) => `${line} ${count}`),
  };
}

/** What a thread asked the kernel for, or what came over it. Undefined outside the kernel. */
function kernelCallOf(frames: readonly string[]): string | undefined {
  for (const frame of frames) {
    const call = /^__(?:x64|arm64)_sys_(\w+)$/.exec(frame)?.[1];
    if (call !== undefined) return call;
    if (frame === 'asm_exc_page_fault') return 'page faults';
  }
  return frames.some((frame) => /^(?:entry_SYSCALL|asm_exc|asm_sysvec|ret_from_fork)/.test(frame))
    ? 'entry, exit, interrupts'
    : undefined;
}
