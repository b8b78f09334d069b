import { readdir } from 'node:fs/promises';
import { run, SoulBoxError } from '@soulbox/base';

export const aptEnv = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
const timeoutMs = 20 * 60_000;
// Unattended upgrades hold the lock for a while after a boot.
const lockWait = ['-o', 'DPkg::Lock::Timeout=180'];

/** Installs Debian packages. Fetches package lists only if there are none, or if they are outdated. */
export async function installPackages(names: readonly string[], onProgress: (step: string) => void): Promise<void> {
  const install = async (): Promise<void> => {
    onProgress(`installing ${names.join(', ')}`);
    await run('apt-get', ['install', '--yes', '--no-install-recommends', ...lockWait, ...names], {
      env: aptEnv,
      timeoutMs,
    });
  };
  try {
    if (await hasPackageLists()) {
      const installed = await install().then(
        () => true,
        () => false,
      );
      if (installed) return;
    }
    onProgress('reading package lists');
    await run('apt-get', ['update', ...lockWait], { env: aptEnv, timeoutMs });
    await install();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new SoulBoxError('host_not_ready', `The packages ${names.join(', ')} could not be installed: ${why}`, {
      cause: error,
    });
  }
}

/** The packages that this release has according to the package lists. Without lists, all of them. */
export async function knownPackages(names: readonly string[]): Promise<readonly string[]> {
  if (names.length === 0 || !(await hasPackageLists())) return names;
  const known = (await run('apt-cache', ['pkgnames'], { env: aptEnv })).split('\n');
  return names.filter((name) => known.includes(name));
}

async function hasPackageLists(): Promise<boolean> {
  const names = await readdir('/var/lib/apt/lists').catch(() => []);
  return names.some((name) => name.includes('_Packages'));
}
