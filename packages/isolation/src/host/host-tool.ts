import { spawn } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { CommandError, sleep } from '@soulbox/base';
import { killPids } from '../cgroup/tree.ts';

const toolTimeoutMs = 30_000;
/** What is kept of a tool's complaint, in characters. */
const complaintMax = 8_192;
const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const mark = (traceName: string): string => `SOULBOX_TOOL_FOR=${traceName}`;

export interface ToolOptions {
  /** Working directory. */
  readonly directory: string;
  /** Whose tool it is; it stands in the tool's environment, where `endHostTools` finds it. */
  readonly traceName: string;
  /** Ends the tool; what it started itself is for `endHostTools`. */
  readonly signal?: AbortSignal;
}

/** Runs a host program for one sandbox. Throws CommandError on anything but exit 0, or after 30 s. */
export async function runHostTool(command: string, args: readonly string[], options: ToolOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.directory,
      env: { PATH: path, LC_ALL: 'C', SOULBOX_TOOL_FOR: options.traceName },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: toolTimeoutMs,
      killSignal: 'SIGKILL',
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (complaint.length < complaintMax) complaint += text;
    });
    const fail = (exitCode: number | undefined, cause: unknown): void => {
      reject(new CommandError([command, ...args], exitCode, complaint, cause));
    };
    child.on('error', (error) => fail(undefined, error));
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else fail(code ?? undefined, signal);
    });
  });
}

/** Ends the host programs that a server started for the sandbox and did not live to see finish. */
export async function endHostTools(traceName: string): Promise<void> {
  for (;;) {
    const pids = await findHostTools(traceName);
    if (pids.length === 0) return;
    killPids(pids);
    await sleep(2);
  }
}

async function findHostTools(traceName: string): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
  const found: number[] = [];
  for (const pid of pids) if (await isHostTool(pid, mark(traceName))) found.push(pid);
  return found;
}

/** A sandbox can write a mark too: it only ends its own process by it. A zombie has no environment. */
async function isHostTool(pid: number, wanted: string): Promise<boolean> {
  try {
    return (await readFile(`/proc/${pid}/environ`, 'latin1')).split('\0').includes(wanted);
  } catch {
    // Ended meanwhile, or a kernel thread.
    return false;
  }
}
