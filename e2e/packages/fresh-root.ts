import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { removeTree, run } from '@soulbox/base';

const variables = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', DEBIAN_FRONTEND: 'noninteractive' };

/** A separate Debian on the kernel and the network of this machine. */
export interface FreshRoot extends AsyncDisposable {
  readonly directory: string;
  /** Runs a program in it and returns its output. */
  run(argv: readonly string[], environment?: Readonly<Record<string, string>>): Promise<string>;
}

/**
 * Unpacks a bare Debian 13 from Debian's archive into `directory` and enters it. It has apt and the programs of
 * systemd, but systemd does not run. The tar file `archive` is created if it is missing, and saves the next call a
 * minute.
 */
export async function makeFreshRoot(directory: string, archive: string): Promise<FreshRoot> {
  await mkdir(directory, { recursive: true });
  const packages = '--include=ca-certificates,systemd-sysv';
  if (!existsSync(archive))
    await run('mmdebstrap', ['--variant=minbase', packages, 'trixie', archive], { timeoutMs: 900_000 });
  await run('tar', ['-xf', archive, '-C', directory, '--exclude=./dev/*'], { timeoutMs: 300_000 });
  return await enterRoot(directory);
}

/** All its programs end when it is disposed. */
async function enterRoot(directory: string): Promise<FreshRoot> {
  const script = join(import.meta.dirname, 'enter-root.sh');
  const namespaces = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child=KILL'];
  const holder = spawn('unshare', [...namespaces, 'bash', script, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(holder, 'exit');
  const lines = createInterface({ input: holder.stdout })[Symbol.asyncIterator]();
  if ((await lines.next()).value !== 'ready') throw new Error('The root could not be entered; see above.');
  const pid = (await readFile(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8')).trim();
  const enter = ['--target', pid, '--mount', '--pid', '--'];
  return {
    directory,
    async run(argv, environment = {}) {
      return await run('nsenter', [...enter, ...argv], { env: { ...variables, ...environment }, timeoutMs: 900_000 });
    },
    async [Symbol.asyncDispose]() {
      holder.kill('SIGKILL');
      await exited;
      await removeTree(directory);
    },
  };
}
