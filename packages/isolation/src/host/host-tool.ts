import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { CommandError, sleep } from '@soulbox/base';
import type { Cgroups } from '../cgroup/cgroups.ts';
import { killPids, listPids, removeGroup } from '../cgroup/tree.ts';
import { toolGroupOf, traceName } from './names.ts';

const usualTimeoutMs = 30_000;
/** How long what a tool wrote before it ended may take to arrive. */
const lastWordsMs = 200;
/** What is kept of a tool's complaint, in characters. */
const complaintMax = 8_192;
const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Enters the group before anything is started that would have to be found by it. */
const entering = 'echo $$ >"$0/cgroup.procs" && exec "$@"';

/** The host's programs that work for one sandbox are in a control group of their own. */
export interface ToolGroup {
  /** One folder is enough to find processes by; with control groups v1 it is the freezer's. */
  readonly folder: string;
  /** Stands in the environment of each, for people who look at a process. */
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
  /** Whose tool it is: `endHostTools` finds it there. */
  readonly tools: ToolGroup;
  /** Ends the tool; what it started itself is for `endHostTools`. */
  readonly signal?: AbortSignal;
  /** Default 30 s. */
  readonly timeoutMs?: number;
  /**
   * For a tool that stops on its way: called with its pid for each line it writes, one after the other. When it resolves the tool
   * is sent a line and goes on; when it rejects the tool is killed and its error is the result.
   */
  readonly onLine?: (pid: number, line: string) => Promise<void>;
}

/** Runs a host program for one sandbox. Throws CommandError on anything but exit 0, or when its time is up. */
export async function runHostTool(command: string, args: readonly string[], options: ToolOptions): Promise<void> {
  const { folder, traceName: owner } = options.tools;
  mkdirSync(folder, { recursive: true });
  const child = spawn('sh', ['-c', entering, folder, command, ...args], {
    cwd: options.directory,
    env: { PATH: path, LC_ALL: 'C', SOULBOX_TOOL_FOR: owner },
    stdio: options.onLine === undefined ? ['ignore', 'ignore', 'pipe'] : 'pipe',
    timeout: options.timeoutMs ?? usualTimeoutMs,
    killSignal: 'SIGKILL',
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  // Both are waited for: nothing of a failed tool goes on in the background.
  const steps = [letGoOn(child, options.onLine), waitForEnd(child, [command, ...args])];
  const failed = (await Promise.allSettled(steps)).find((step) => step.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function waitForEnd(child: ChildProcess, argv: readonly string[]): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let complaint = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (complaint.length < complaintMax) complaint += text;
    });
    const fail = (exitCode: number | undefined, cause: unknown): void => {
      reject(new CommandError(argv, exitCode, complaint, cause));
    };
    child.on('error', (error) => fail(undefined, error));
    // What a killed tool started may still hold its streams: that is for `endHostTools`, not to be waited for.
    child.on('exit', () => setTimeout(() => closeStreams(child), lastWordsMs).unref());
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else fail(code ?? undefined, signal);
    });
  });
}

function closeStreams({ stdin, stdout, stderr }: ChildProcess): void {
  for (const stream of [stdin, stdout, stderr]) stream?.destroy();
}

/** Resolves when the tool says no more. */
async function letGoOn(child: ChildProcess, onLine: ToolOptions['onLine']): Promise<void> {
  const { stdin, stdout, pid } = child;
  if (onLine === undefined || stdin === null || stdout === null) return;
  // It may end at any moment; how is told by `waitForEnd`.
  stdin.on('error', () => undefined);
  stdout.on('error', () => undefined);
  const lines = createInterface({ input: stdout });
  // A stream that is destroyed has no end, for which the lines would be waited for.
  stdout.once('close', () => lines.close());
  try {
    for await (const line of lines) {
      if (pid === undefined) return;
      await onLine(pid, line);
      stdin.write('go\n');
    }
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/** Ends the host programs that a server started for the sandbox and did not live to see finish, and removes their group. */
export async function endHostTools({ folder }: ToolGroup): Promise<void> {
  for (;;) {
    const pids = await listPids(folder);
    if (pids.length === 0) break;
    killPids(pids);
    await sleep(2);
  }
  await removeGroup(folder);
}

/** Waits until none is left at work for a sandbox, whoever started it. False when that takes longer. */
export async function outwaitHostTools({ folder }: ToolGroup, timeoutMs: number): Promise<boolean> {
  const giveUpAt = Date.now() + timeoutMs;
  while ((await listPids(folder)).length > 0) {
    if (Date.now() > giveUpAt) return false;
    await sleep(20);
  }
  return true;
}
