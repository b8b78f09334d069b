import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';

/** System calls by which a server changes something outside itself. */
const changingCalls = [
  ...[
    'openat',
    'write',
    'pwrite64',
    'writev',
    'rename',
    'renameat2',
    'unlink',
    'unlinkat',
    'rmdir',
    'mkdir',
    'mkdirat',
  ],
  ...['link', 'symlink', 'ftruncate', 'fallocate', 'fsync', 'fdatasync', 'chmod', 'fchmod', 'chown', 'fchown'],
  ...[
    'clone',
    'clone3',
    'vfork',
    'execve',
    'kill',
    'tgkill',
    'sendmsg',
    'sendto',
    'connect',
    'setns',
    'unshare',
    'mount',
  ],
].join(',');

/** The n-th call of a name by one thread, from 1 on. A thread is identified by its position in the process. */
export interface Boundary {
  readonly thread: number;
  readonly name: string;
  readonly call: number;
}

/** A trace of a process. All its threads existed at the start of the trace. */
export interface Trace extends AsyncDisposable {
  /** Every such call since then. */
  boundaries(): readonly Boundary[];
}

/** Records the calls of every thread with strace(1). With `killAt` the process gets SIGKILL in place of that call. */
export async function traceProcess(pid: number, killAt?: Boundary): Promise<Trace> {
  const threads = await listThreads(pid);
  const traced = killAt === undefined ? threads : threads.filter((_, index) => index === killAt.thread);
  const inject = killAt === undefined ? [] : ['-e', `inject=${killAt.name}:signal=SIGKILL:when=${killAt.call}`];
  const args = ['-y', '-e', `trace=${killAt?.name ?? changingCalls}`, '-e', 'signal=none', ...inject];
  const pids = traced.flatMap((tid) => ['-p', String(tid)]);
  const tracer = spawn('strace', ['-o', '|exec cat', ...args, ...pids], { stdio: ['ignore', 'pipe', 'pipe'] });
  const boundaries: Boundary[] = [];
  const counts = new Map<string, number>();
  createInterface({ input: tracer.stdout }).on('line', (line) => {
    // With a single thread strace does not print its id. A call that is interrupted by another thread has a second line
    // in another form.
    const [, tid = traced[0], name] = /^(?:(\d+) +)?(\w+)\(/.exec(line) ?? [];
    if (name === undefined) return;
    const thread = threads.indexOf(Number(tid));
    const call = (counts.get(`${thread} ${name}`) ?? 0) + 1;
    counts.set(`${thread} ${name}`, call);
    if (!isInternal(name, line)) boundaries.push({ thread, name, call });
  });
  const closed = once(tracer, 'close');
  await attached(tracer.stderr, traced.length);
  return {
    boundaries: () => boundaries,
    async [Symbol.asyncDispose]() {
      tracer.kill('SIGINT');
      await closed;
    },
  };
}

/** Opens a file for reading or wakes another thread of the process. Nobody can observe such a step half done. */
function isInternal(name: string, line: string): boolean {
  if (name === 'openat') return !line.includes('O_CREAT');
  return name === 'write' && line.includes('<anon_inode:[eventfd]');
}

async function attached(stderr: NodeJS.ReadableStream, threads: number): Promise<void> {
  let said = '';
  await new Promise<void>((resolve, reject) => {
    stderr.on('data', (data: Buffer) => {
      said += data.toString('latin1');
      if (said.split(' attached').length > threads) resolve();
    });
    stderr.once('close', () => reject(new Error(`strace could not attach: ${said}`)));
  });
}

/** The main thread first, then the workers by age: the same positions in every process of the same program. */
async function listThreads(pid: number): Promise<number[]> {
  return (await readdir(`/proc/${pid}/task`)).map(Number).sort((one, other) => one - other);
}
