import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { until } from '../harness/until.ts';

const variables = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', DEBIAN_FRONTEND: 'noninteractive' };

/** A separate Debian on the kernel and the network of this machine, with systemd as its first process. */
export interface FreshRoot extends AsyncDisposable {
  readonly directory: string;
  /** Runs a program in it and returns its output. */
  run(argv: readonly string[], environment?: Readonly<Record<string, string>>): Promise<string>;
}

/**
 * Unpacks a bare Debian 13 from Debian's archive into `directory` and boots it. It has apt and systemd. The tar file
 * `archive` is created if it is missing, and saves the next call a minute.
 */
export async function makeFreshRoot(directory: string, archive: string): Promise<FreshRoot> {
  await mkdir(directory, { recursive: true });
  const packages = '--include=ca-certificates,systemd-sysv';
  if (!existsSync(archive))
    await run('mmdebstrap', ['--variant=minbase', packages, 'trixie', archive], { timeoutMs: 900_000 });
  await run('tar', ['-xf', archive, '-C', directory, '--exclude=./dev/*'], { timeoutMs: 300_000 });
  return await bootRoot(directory);
}

/** All its programs end when it is disposed. */
async function bootRoot(directory: string): Promise<FreshRoot> {
  const script = join(import.meta.dirname, 'boot-root.sh');
  const group = `soulbox-root-${process.pid}`;
  const holder = spawn('bash', [script, directory, group], { stdio: ['ignore', 'ignore', 'inherit'] });
  const exited = once(holder, 'exit');
  await using failed = new AsyncDisposableStack();
  failed.defer(async () => {
    holder.kill('SIGKILL');
    await exited;
    await removeGroups(group);
  });
  const pid = await until('the root has its first process', async () => {
    const child = (await readFile(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8').catch(() => '')).trim();
    const name = await readFile(`/proc/${child}/comm`, 'utf8').catch(() => '');
    return name === 'systemd\n' ? child : undefined;
  });
  failed.defer(() => void process.kill(Number(pid), 'SIGKILL'));
  const enter = ['--target', pid, '--mount', '--pid', '--uts', '--ipc', '--'];
  const runInside: FreshRoot['run'] = async (argv, environment = {}) =>
    await run('nsenter', [...enter, ...argv], { env: { ...variables, ...environment }, timeoutMs: 900_000 });
  await until('systemd has booted', async () => await isBooted(runInside), 60_000);
  // The kernel lets a sandbox mount its own /proc only while nothing covers a part of this one.
  await runInside(['umount', '--lazy', '/proc/cgroups', '/proc/sys']);
  const booted = failed.move();
  return {
    directory,
    run: runInside,
    async [Symbol.asyncDispose]() {
      await booted.disposeAsync();
      await removeTree(directory);
    },
  };
}

async function isBooted(runInside: FreshRoot['run']): Promise<boolean> {
  const state = await runInside(['sh', '-c', 'systemctl is-system-running 2> /dev/null || true']);
  return /^(?:running|degraded)$/.test(state.trim());
}

/** Those that boot-root.sh and systemd have made, the innermost first. */
async function removeGroups(name: string): Promise<void> {
  const mounts = await run('findmnt', ['--raw', '--noheadings', '--types', 'cgroup,cgroup2', '--output', 'TARGET']);
  for (const hierarchy of mounts.trim().split('\n')) {
    const group = join(hierarchy, name);
    if (existsSync(group)) await run('find', [group, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';']);
  }
}
