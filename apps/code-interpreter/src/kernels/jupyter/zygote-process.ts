import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ProcessGroup } from '../process/group.ts';
import { describeEnd, signalGroup, spawnGroup } from '../process/group.ts';

export interface ForkRequest {
  readonly connectionFile: string;
  readonly cwd: string;
  readonly variables: Readonly<Record<string, string>>;
}

export interface ZygoteOptions {
  readonly python: string;
  readonly assets: string;
  readonly env: NodeJS.ProcessEnv;
}

/** The preload that reseeds generators in a copy of the sandbox (docs/fork.md) is in this folder. */
const reseedFolder = '/.soulbox/reseed/python';

/** One process that forks kernels (assets/python/zygote.py). */
export interface ZygoteProcess {
  readonly ended: Promise<string>;
  fork(request: ForkRequest): Promise<ProcessGroup | 'outdated'>;
  /** Ends the process when its last kernel has ended: kernels die with it. */
  retire(): void;
}

/** An output line of the zygote (assets/python/zygote.py). */
type Answer =
  | { readonly ready: true }
  | { readonly id: number; readonly pid: number }
  | { readonly id: number; readonly failed: string }
  | { readonly id: number; readonly outdated: true }
  | { readonly ended: number; readonly status: number };

export async function startZygoteProcess({ python, assets, env }: ZygoteOptions): Promise<ZygoteProcess> {
  const command = [python, join(assets, 'python/zygote.py')];
  const { child, ended } = await spawnGroup(command, {
    cwd: '/',
    env: { ...env, PYTHONPATH: reseedFolder },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('The zygote has no pipes.');
  stdin.on('error', () => undefined);
  const waiting = new Map<number, (answer: Answer) => void>();
  const kernels = new Map<number, (how: string) => void>();
  let ready: (() => void) | undefined;
  let isRetired = false;
  let lastId = 0;
  const endWhenDone = (): void => {
    if (isRetired && kernels.size === 0) stdin.end();
  };
  createInterface({ input: stdout }).on('line', (line) => {
    const answer = JSON.parse(line) as Answer;
    if ('ready' in answer) ready?.();
    else if ('ended' in answer) {
      kernels.get(answer.ended)?.(describeStatus(answer.status));
      kernels.delete(answer.ended);
      endWhenDone();
    } else waiting.get(answer.id)?.(answer);
  });
  void ended.then((how) => {
    for (const end of kernels.values()) end(`the server of its language ended: ${how}`);
    kernels.clear();
  });
  const gone = ended.then((how) => {
    throw new Error(`Python does not start: ${how}.`);
  });
  gone.catch(() => undefined);
  await Promise.race([new Promise<void>((resolve) => (ready = resolve)), gone]);
  return {
    ended,
    retire: () => {
      isRetired = true;
      endWhenDone();
    },
    fork: async (request) => {
      const id = ++lastId;
      const answered = new Promise<Answer>((resolve) => waiting.set(id, resolve));
      stdin.write(`${JSON.stringify({ id, ...request })}\n`);
      const answer = await Promise.race([answered, gone]).finally(() => waiting.delete(id));
      if ('outdated' in answer) return 'outdated';
      if (!('pid' in answer))
        throw new Error('failed' in answer ? answer.failed : 'The zygote sent an invalid response.');
      return forkedGroup(answer.pid, kernels);
    },
  };
}

function forkedGroup(pid: number, kernels: Map<number, (how: string) => void>): ProcessGroup {
  let isGone = false;
  const ended = new Promise<string>((resolve) => {
    kernels.set(pid, (how) => {
      isGone = true;
      resolve(how);
    });
  });
  return { pid, ended, signal: (signal) => signalGroup(pid, signal, isGone) };
}

const signalNames: Readonly<Record<number, NodeJS.Signals>> = {
  6: 'SIGABRT',
  9: 'SIGKILL',
  11: 'SIGSEGV',
  15: 'SIGTERM',
};

/** Python's exit status: a negative value is the signal that killed the process. */
function describeStatus(status: number): string {
  if (status >= 0) return describeEnd(status, null);
  return `it was killed by ${signalNames[-status] ?? `signal ${-status}`}`;
}
