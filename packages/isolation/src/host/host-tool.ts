import { mkdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError, completeAll } from '@soulbox/base';
import type { Program, ProgramOptions } from '@soulbox/linux/programs';
import { startProgram } from '@soulbox/linux/programs';
import type { Cgroups } from '../cgroup/cgroups.ts';
import { killPids, listPids, removeGroup } from '../cgroup/tree.ts';
import { toolGroupOf, traceName } from './names.ts';

const usualTimeoutMs = 30_000;
/** How long the last output of an ended tool may take to arrive. */
const lastWordsMs = 200;
/** Maximum length of a tool's error output that is kept, in characters. */
const complaintMax = 8_192;
export const toolEnvironment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
/** Enters the group before it starts any process that must be found by the group. */
const entering = 'echo $$ >"$0/cgroup.procs" && exec "$@"';

/** Host programs that work for one sandbox are in a control group of their own. */
export interface ToolGroup {
  /** One folder is enough to find the processes; with control groups v1 it is the freezer's. */
  readonly folder: string;
  /** Set in the environment of each tool, for people who inspect a process. */
  readonly traceName: string;
}

export function toolsOf(host: { readonly instance: number; readonly cgroups: Cgroups }, sandboxId: string): ToolGroup {
  const { instance, cgroups } = host;
  return {
    folder: cgroups.freezerOf(toolGroupOf(instance, sandboxId)),
    traceName: traceName(instance, sandboxId),
  };
}

export interface ToolOptions {
  /** Working directory. */
  readonly directory: string;
  /** The group of the tool: `endHostTools` finds it there. */
  readonly tools: ToolGroup;
  /** Open descriptors that the tool inherits, as 3, 4 and so on. */
  readonly descriptors?: readonly number[];
  /** Ends the tool; `endHostTools` ends the processes that it started. */
  readonly signal?: AbortSignal;
  /** Default 30 s. */
  readonly timeoutMs?: number;
  /**
   * For a tool that stops on its way: called with its pid for each line it writes, one after the other. When it
   * resolves, the tool gets a line and continues; when it rejects, the tool is killed and the error is the result.
   */
  readonly onLine?: (pid: number, line: string) => Promise<void>;
}

/** Runs a host program for one sandbox. Throws CommandError on any result but exit code 0, or at the timeout. */
export async function runHostTool(command: string, args: readonly string[], options: ToolOptions): Promise<void> {
  const { folder, traceName: owner } = options.tools;
  mkdirSync(folder, { recursive: true });
  const program = startTool(['sh', '-c', entering, folder, command, ...args], {
    directory: options.directory,
    environment: { ...toolEnvironment, SOULBOX_TOOL_FOR: owner },
    standardStreams: options.onLine === undefined ? 'ignore' : 'pipe',
    descriptors: options.descriptors ?? [],
  });
  await conductTool(program, [command, ...args], options);
}

/** Throws CommandError. */
export function startTool(argv: readonly string[], options: ProgramOptions): Program {
  const [command = '', ...args] = argv;
  try {
    return startProgram(command, args, options);
  } catch (error) {
    throw new CommandError(argv, undefined, '', error);
  }
}

/** Follows a started tool to its end, like `runHostTool`. `argv`: for the error. */
export async function conductTool(
  program: Program,
  argv: readonly string[],
  { signal, timeoutMs = usualTimeoutMs, onLine }: Pick<ToolOptions, 'signal' | 'timeoutMs' | 'onLine'>,
): Promise<void> {
  const end = (): void => program.kill();
  const timer = setTimeout(end, timeoutMs);
  signal?.addEventListener('abort', end);
  if (signal?.aborted === true) end();
  try {
    // Both are awaited: no step of a failed tool continues in the background.
    const steps = [openBarrier(program, onLine), waitForEnd(program, argv)];
    await completeAll(steps);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
  }
}

async function waitForEnd({ input, output, errors, exited }: Program, argv: readonly string[]): Promise<void> {
  const streams = [input, output, errors].filter((stream) => stream !== undefined);
  let complaint = '';
  errors.setEncoding('utf8').on('data', (text: string) => {
    if (complaint.length < complaintMax) complaint += text;
  });
  // It may end at any moment, and its end says how.
  for (const stream of streams) stream.on('error', () => undefined);
  const closed = Promise.all(streams.map(closeOf));
  const { code, signal } = await exited;
  input?.destroy();
  // Nobody may read it, and its end comes after it.
  output?.resume();
  // Processes that a killed tool started may still hold its streams. `endHostTools` ends them; they are not waited for.
  const timer = setTimeout(() => streams.forEach((stream) => stream.destroy()), lastWordsMs).unref();
  await closed;
  clearTimeout(timer);
  if (code !== 0) throw new CommandError(argv, code ?? undefined, complaint, signal ?? 'its end was not noticed');
}

async function closeOf(stream: Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    if (stream.closed) resolve();
    else stream.once('close', () => resolve());
  });
}

/** Resolves when the tool's output ends. */
async function openBarrier(program: Program, onLine: ToolOptions['onLine']): Promise<void> {
  const { input, output, pid } = program;
  if (onLine === undefined || input === undefined || output === undefined) return;
  const lines = createInterface({ input: output });
  // A destroyed stream emits no end, and the lines would wait for one.
  output.once('close', () => lines.close());
  try {
    for await (const line of lines) {
      await onLine(pid, line);
      input.write('go\n');
    }
  } catch (error) {
    program.kill();
    throw error;
  }
}

/**
 * Ends the host programs that a server started for the sandbox and that outlived the server, and removes their group.
 */
export async function endHostTools({ folder }: ToolGroup): Promise<void> {
  for (;;) {
    const pids = await listPids(folder);
    if (pids.length === 0) break;
    killPids(pids);
    await sleep(2);
  }
  await removeGroup(folder);
}

/**
 * Waits until no tool works for a sandbox any more, whoever started it. False if that takes longer than the timeout.
 */
export async function outwaitHostTools({ folder }: ToolGroup, timeoutMs: number): Promise<boolean> {
  const giveUpAt = Date.now() + timeoutMs;
  while ((await listPids(folder)).length > 0) {
    if (Date.now() > giveUpAt) return false;
    await sleep(20);
  }
  return true;
}
