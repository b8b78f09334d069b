import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '@soulbox/base';
import type { BlockDigests } from '../../driver.ts';
import { openCgroups } from '../../cgroup/open-cgroups.ts';
import type { PagerJob } from '../pager/job.ts';

const criuDirectory = '/usr/local/lib/soulbox/criu';
const residentProgram = fileURLToPath(new URL('resident.py', import.meta.url));
const blockBytes = 1 << 20;
const answerTimeoutMs = 20_000;
/** Runs a command in control groups. Arguments: folders, `--`, command. */
const joinScript = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"';
const joining = (groups: readonly string[], command: readonly string[]): string[] => [
  ...['-c', joinScript, 'sh'],
  ...groups,
  '--',
  ...command,
];

/** The reason why the tests with real processes cannot run here; undefined if they can. */
export function lacksForResidents(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync(join(criuDirectory, 'criu'))) return 'needs CRIU 4.2';
  if (spawnSync('python3', ['-c', 'pass']).status !== 0) return 'needs python3';
  return undefined;
}

/** A host process that stands in for a sandbox: CRIU saves it, and it is restored with a pager. */
export class Resident implements AsyncDisposable {
  readonly directory: string;
  readonly group: string;
  #count = 0;

  private constructor(directory: string) {
    this.directory = directory;
    this.group = `/soulbox-pager-test-${process.pid}-${directory.slice(-6)}`;
  }

  static async start(): Promise<Resident> {
    const resident = new Resident(await mkdtemp(join(tmpdir(), 'soulbox-pager-')));
    for (const folder of ['image', 'work']) await mkdir(join(resident.directory, folder), { mode: 0o700 });
    for (const folder of resident.killDirectories) await mkdir(folder, { recursive: true });
    // A pid namespace of its own: its pids are free again when it is restored.
    const program = ['unshare', '--pid', '--fork', 'setsid', 'python3', residentProgram, resident.directory];
    spawn('sh', joining(resident.killDirectories, program), { cwd: '/', stdio: 'ignore' }).unref();
    return resident;
  }

  get imageDirectory(): string {
    return join(this.directory, 'image');
  }

  get workDirectory(): string {
    return join(this.directory, 'work');
  }

  /** Only the trees that accept a process without further set-up. */
  get killDirectories(): readonly string[] {
    return openCgroups()
      .directoriesOf(this.group)
      .filter((folder) => !folder.includes('cpuset'));
  }

  /** Runs Python code; returns the value that it assigned to `answer`. Throws if there is none within `timeoutMs`. */
  async ask(code: string, timeoutMs = answerTimeoutMs): Promise<string> {
    await writeFile(join(this.directory, 'ask.tmp'), code);
    await rename(join(this.directory, 'ask.tmp'), join(this.directory, 'ask'));
    this.#count += 1;
    const path = join(this.directory, `answer-${this.#count}`);
    for (const deadline = Date.now() + timeoutMs; Date.now() < deadline;) {
      if (existsSync(path)) return await readFile(path, 'utf8');
      await sleep(1);
    }
    throw new Error(`no answer to ${code}`);
  }

  /** Saves it; its processes end. */
  async dump(): Promise<void> {
    const pids = await this.listPids();
    const init = pids.find((pid) => /^NSpid:.*\t1$/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))) ?? '';
    await runCriu([], ['dump', '-t', init, '-D', this.imageDirectory, '-o', 'dump.log']);
  }

  async restore(options: { lazy: boolean }): Promise<void> {
    const args = ['restore', '-d', '-D', this.imageDirectory, '-W', this.workDirectory, '-o', 'restore.log'];
    await runCriu(this.killDirectories, [...args, ...(options.lazy ? ['--lazy-pages'] : [])]);
  }

  async digests(): Promise<BlockDigests> {
    const names = (await readdir(this.imageDirectory)).filter((name) => name.startsWith('pages-'));
    const parts: Record<string, string[]> = {};
    for (const name of names) parts[name] = await digestBlocks(join(this.imageDirectory, name));
    return { blockBytes, parts };
  }

  async job(): Promise<PagerJob> {
    const { imageDirectory, workDirectory, killDirectories } = this;
    return { imageDirectory, workDirectory, killDirectories, digests: await this.digests() };
  }

  async listPids(): Promise<string[]> {
    const [folder = ''] = this.killDirectories;
    return (await readFile(join(folder, 'cgroup.procs'), 'latin1')).split('\n').filter(Boolean);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const cgroups = openCgroups();
    await cgroups.kill(this.group);
    await cgroups.remove(this.group);
    await rm(this.directory, { recursive: true });
  }
}

async function runCriu(groups: readonly string[], args: readonly string[]): Promise<void> {
  const options = ['-v1', '--no-default-config', '--manage-cgroups=ignore'];
  const command = ['env', `LD_LIBRARY_PATH=${criuDirectory}`, join(criuDirectory, 'criu'), ...args, ...options];
  await run('sh', joining(groups, command));
}

async function digestBlocks(path: string): Promise<string[]> {
  const file = await open(path);
  const digests: string[] = [];
  const buffer = Buffer.alloc(blockBytes);
  for (let position = 0; ; position += blockBytes) {
    const { bytesRead } = await file.read(buffer, 0, blockBytes, position);
    if (bytesRead === 0) break;
    digests.push(createHash('sha256').update(buffer.subarray(0, bytesRead)).digest('hex'));
  }
  await file.close();
  return digests;
}
