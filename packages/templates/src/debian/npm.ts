import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { run, SoulBoxError } from '@soulbox/base';
import type { RunOptions } from '@soulbox/base';
import { npmPackage } from './packages.ts';

/** Runs the npm from our Debian package, or else the host's. */
export async function runNpm(args: readonly string[], options: RunOptions): Promise<string> {
  const own = findOwnNpm();
  return own === undefined ? await run('npm', args, options) : await run(process.execPath, [own, ...args], options);
}

function findOwnNpm(): string | undefined {
  try {
    // Its other files are not exported.
    return join(dirname(createRequire(import.meta.url).resolve('npm/package.json')), 'bin/npm-cli.js');
  } catch {
    return undefined;
  }
}

/**
 * Fetches npm's own package into `directory` with the host's npm, and thus with the host's registry and proxy settings.
 */
export async function fetchNpm(directory: string): Promise<string> {
  const args = [
    'pack',
    `npm@${npmPackage.version}`,
    '--loglevel=error',
    '--workspaces=false',
    '--pack-destination',
    directory,
  ];
  await runNpm(args, { cwd: directory, timeoutMs: 180_000 });
  const archive = join(directory, `npm-${npmPackage.version}.tgz`);
  const digest = createHash('sha512')
    .update(await readFile(archive))
    .digest('base64');
  if (`sha512-${digest}` !== npmPackage.integrity) {
    throw new SoulBoxError('internal', `npm ${npmPackage.version} from the registry is not the one that was expected.`);
  }
  return archive;
}

/** Installs it under /usr/local of one of our rootfs, like `npm install -g npm`. */
export async function installNpm(archive: string, rootfs: string): Promise<void> {
  const target = join(rootfs, 'usr/local/lib/node_modules/npm');
  await mkdir(target, { recursive: true });
  await run('tar', ['-xzf', archive, '-C', target, '--strip-components=1', '--no-same-owner', '--exclude=*/man/*']);
  // Global packages are installed where /usr/local/bin is in PATH, so that they do not replace files of Debian's
  // packages.
  await writeFile(join(target, 'npmrc'), 'prefix = /usr/local\n');
  for (const name of ['npm', 'npx']) {
    const script = join(target, 'bin', `${name}-cli.js`);
    await chmod(script, 0o755);
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, join(rootfs, 'usr/local/bin', name));
  }
}
