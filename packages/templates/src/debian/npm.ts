import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run, SoulBoxError } from '@soulbox/base';
import { npmPackage } from './packages.ts';

/** Fetches npm's own package into `directory` with the host's npm, so with the host's registry and proxy settings. */
export async function fetchNpm(directory: string): Promise<string> {
  const args = ['pack', `npm@${npmPackage.version}`, '--silent', '--workspaces=false', '--pack-destination', directory];
  await run('npm', args, { cwd: directory, timeoutMs: 180_000 });
  const archive = join(directory, `npm-${npmPackage.version}.tgz`);
  const digest = createHash('sha512')
    .update(await readFile(archive))
    .digest('base64');
  if (`sha512-${digest}` !== npmPackage.integrity) {
    throw new SoulBoxError('internal', `npm ${npmPackage.version} from the registry is not the one that was expected.`);
  }
  return archive;
}

/** Installs it under /usr/local of a rootfs of ours, as `npm install -g npm` would. */
export async function installNpm(archive: string, rootfs: string): Promise<void> {
  const target = join(rootfs, 'usr/local/lib/node_modules/npm');
  await mkdir(target, { recursive: true });
  await run('tar', ['-xzf', archive, '-C', target, '--strip-components=1', '--no-same-owner', '--exclude=*/man/*']);
  // Global packages go where /usr/local/bin is in PATH, not over what Debian's packages own.
  await writeFile(join(target, 'npmrc'), 'prefix = /usr/local\n');
  for (const name of ['npm', 'npx']) {
    const script = join(target, 'bin', `${name}-cli.js`);
    await chmod(script, 0o755);
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, join(rootfs, 'usr/local/bin', name));
  }
}
