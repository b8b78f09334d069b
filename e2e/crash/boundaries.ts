import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';

/** Calls into the kernel by which a server changes anything outside of itself. */
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

/** The n-th call of a name by one thread, from 1 on. Threads are named by their place among those of the process. */
export interface Boundary {
  readonly thread: number;
  readonly name: string;
  readonly call: number;
}

/** A trace of a process whose threads were all there when it began. */
export interface Trace extends AsyncDisposable {
  /** Every such call since. */
  boundaries(): readonly Boundary[];
}

/** Notes the calls of every thread, by strace(1); with `killAt` the process gets SIGKILL in the place of that one call. */
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
    // With one thread strace does not name it. A call during which another thread calls has a second line, which has another form.
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

/** Opens a file to read it, or wakes another thread of the process: that is no step that anybody could find half done. */
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

/** The main thread first, then the workers by age: the same places in every process of the same program. */
async function listThreads(pid: number): Promise<number[]> {
  return (await readdir(`/proc/${pid}/task`)).map(Number).sort((one, other) => one - other);
}
