import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/** Samples of each processor each second. */
const frequency = 999;
const flushMs = 300;

/** Records stacks and starts of programs of the whole host until it is stopped. */
export async function recordHost(file: string): Promise<{ stop(): Promise<void> }> {
  const args = ['record', '--all-cpus', '--event', 'cpu-clock', '--freq', String(frequency)];
  // The clock of `process.hrtime`.
  const child = spawn('perf', [...args, '--call-graph', 'fp', '--clockid', 'CLOCK_MONOTONIC', '--output', file], {
    stdio: 'ignore',
  });
  const ended = once(child, 'exit');
  await Promise.race([sleep(2000), ended]);
  if (child.exitCode !== null) throw new Error(`perf record ended with ${child.exitCode}.`);
  return {
    async stop() {
      await sleep(flushMs);
      child.kill('SIGINT');
      await ended;
    },
  };
}

export type TraceEvent =
  | { readonly kind: 'fork'; readonly atMs: number; readonly pid: number; readonly parent: number }
  | { readonly kind: 'program'; readonly atMs: number; readonly pid: number; readonly name: string }
  | { readonly kind: 'sample'; readonly atMs: number; readonly pid: number; readonly frames: readonly string[] };

/** What was recorded, in the order of time. Milliseconds are of `process.hrtime`. Threads are not forks. */
export async function* readRecording(file: string): AsyncGenerator<TraceEvent> {
  const args = ['script', '--input', file, '--show-task-events', '--fields', 'comm,pid,tid,time,ip,sym'];
  const child = spawn('perf', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  let sample: { atMs: number; pid: number; name: string; stack: string[] } | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const head = /^ *(.+?) +(\d+)\/\d+ +(\d+\.\d+): *(.*)$/.exec(line);
    if (head === null) {
      const frame = /^\s+[0-9a-f]+ (.*)$/.exec(line)?.[1];
      if (frame !== undefined) sample?.stack.push(frame);
      continue;
    }
    if (sample !== undefined) yield asSample(sample);
    sample = undefined;
    const [, name = '', pid = '', seconds = '', rest = ''] = head;
    const atMs = Number(seconds) * 1000;
    const event = parseEvent(rest, atMs);
    if (event !== undefined) yield event;
    else if (!rest.startsWith('PERF_RECORD_')) sample = { atMs, pid: Number(pid), name, stack: [] };
  }
  if (sample !== undefined) yield asSample(sample);
}

function parseEvent(text: string, atMs: number): TraceEvent | undefined {
  const fork = /^PERF_RECORD_FORK\((\d+):(\d+)\):\((\d+):\d+\)/.exec(text);
  if (fork !== null && fork[1] === fork[2] && fork[1] !== fork[3])
    return { kind: 'fork', atMs, pid: Number(fork[1]), parent: Number(fork[3]) };
  const program = /^PERF_RECORD_COMM exec: (.*):(\d+)\/\d+$/.exec(text);
  if (program !== null) return { kind: 'program', atMs, pid: Number(program[2]), name: program[1] ?? '' };
  return undefined;
}

/** From the outermost frame to the innermost. */
function asSample({
  atMs,
  pid,
  name,
  stack,
}: {
  atMs: number;
  pid: number;
  name: string;
  stack: string[];
}): TraceEvent {
  return { kind: 'sample', atMs, pid, frames: [name, ...stack.reverse()] };
}

export const msPerSample = 1000 / frequency;
