import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, copyFile, cp, lutimes, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { run } from '@soulbox/base';
import { fetchNpm } from '@soulbox/templates';
import { isLicenceFile } from './licence-texts.ts';
import { renderHelpFiles } from './help-files.ts';
import type { LockedPackages } from './locked-packages.ts';
import { nodePackage } from './npm-package.ts';
import type { Release } from './npm-package.ts';

/**
 * Without these packages no sandbox starts, or set-up would have to install them with apt. Those from `libbsd0` on are
 * linked by CRIU of Debian unstable, which the first start fetches.
 */
const depends = [
  ...['ca-certificates', 'crun (>= 1.11)', 'debian-archive-keyring', 'e2fsprogs', 'iproute2', 'libc6 (>= 2.36)'],
  ...['libnss-myhostname', 'mmdebstrap', 'mount (>= 2.39)', 'nftables', 'util-linux (>= 2.39)', 'libbsd0'],
  ...['libgnutls30t64 | libgnutls30', 'libnftables1', 'libuuid1'],
];
/** For the other isolation, and for templates from images: `soulbox doctor` says what is missing without them. */
const recommends = ['libarchive-tools', 'runsc', 'skopeo', 'umoci'];

/** The place of the program. */
export const library = 'usr/lib/soulbox';

/** Files of libraries that a Node program does not need, unless they are licences. */
const unneeded = /\.(d\.[cm]?ts|map|md|markdown|flow|tsbuildinfo)$/i;

/**
 * Creates soulbox_VERSION_amd64.deb, which needs neither npm nor Node.js: it contains the installed libraries of the
 * workspace and its Node. `program` is moved to the place that becomes /usr/lib/soulbox. Returns the file.
 */
export async function makeDebianPackage(
  root: string,
  paths: { readonly program: string; readonly work: string; readonly output: string },
  release: Release,
  locked: LockedPackages,
): Promise<string> {
  const { work } = paths;
  await mkdir(join(work, dirname(library)), { recursive: true });
  await rename(paths.program, join(work, library));
  await copyLibraries(root, join(work, library), locked);
  await copyNode(root, join(work, library));
  await addNpm(paths.work, join(work, library));
  for (const [source, target, mode] of systemFiles) {
    await mkdir(join(work, dirname(target)), { recursive: true });
    await copyFile(join(root, source), join(work, target));
    await chmod(join(work, target), mode);
  }
  for (const [target, content] of await renderHelpFiles(release)) {
    await mkdir(join(work, dirname(target)), { recursive: true });
    await writeFile(join(work, target), content, { mode: 0o644 });
  }
  await writeControl(work, release);
  await settle(work, release.epoch);
  const file = join(paths.output, `soulbox_${release.version}_amd64.deb`);
  // zstd unpacks in seconds, and packs in a fifth of the time of xz.
  await run('dpkg-deb', ['--root-owner-group', '-Zzstd', '-z9', '--build', work, file], {
    env: { PATH: '/usr/bin:/bin', SOURCE_DATE_EPOCH: String(release.epoch) },
    timeoutMs: 600_000,
  });
  return file;
}

const parts = ['runner', 'control', 'egress', 'gateway', 'ssh', 'volumes', 'buckets', 'objects'];
const units = ['soulbox', ...parts.map((part) => `soulbox-${part}`)].map((name) => `${name}.service`);

const systemFiles: readonly (readonly [source: string, target: string, mode: number])[] = [
  ['deploy/debian/soulbox', 'usr/bin/soulbox', 0o755],
  ...units.map((name) => [`deploy/systemd/${name}`, `usr/lib/systemd/system/${name}`, 0o644] as const),
  ['deploy/debian/default', 'etc/default/soulbox', 0o644],
  ['deploy/debian/sysusers.conf', 'usr/lib/sysusers.d/soulbox.conf', 0o644],
  ['deploy/debian/copyright', 'usr/share/doc/soulbox/copyright', 0o644],
  ['deploy/debian/postinst', 'DEBIAN/postinst', 0o755],
  ['deploy/debian/prerm', 'DEBIAN/prerm', 0o755],
  ['deploy/debian/postrm', 'DEBIAN/postrm', 0o755],
];

/** Only libraries for this system: the lock file also names those of other systems, which are not installed. */
async function copyLibraries(root: string, target: string, locked: LockedPackages): Promise<void> {
  for (const [place, { version }] of locked) {
    const source = join(root, place);
    const manifest = await readFile(join(source, 'package.json'), 'utf8').catch(() => undefined);
    if (manifest === undefined) continue;
    const installed = (JSON.parse(manifest) as { version: string }).version;
    if (installed !== version) throw new Error(`${place} is installed as ${installed}, not ${version}: run npm ci.`);
    const isNeeded = (path: string): boolean => {
      const name = relative(source, path);
      if (name.split('/').includes('node_modules')) return false;
      return !unneeded.test(name) || isLicenceFile(name);
    };
    await cp(source, join(target, place), { recursive: true, filter: isNeeded });
  }
}

async function copyNode(root: string, target: string): Promise<void> {
  // The install script of the package `node` has put it there; `npm install` of anything else removes it.
  const source = join(root, 'node_modules/node/node_modules', nodePackage);
  if (!existsSync(source)) throw new Error(`${source} is missing: run npm ci.`);
  const folder = join(target, 'node_modules', nodePackage);
  await mkdir(join(folder, 'bin'), { recursive: true });
  for (const name of ['package.json', 'LICENSE', 'bin/node']) await copyFile(join(source, name), join(folder, name));
}

/** Templates are built with npm, and Debian's npm has hundreds of packages. */
async function addNpm(scratch: string, target: string): Promise<void> {
  const archive = await fetchNpm(dirname(scratch));
  const folder = join(target, 'node_modules/npm');
  await mkdir(folder, { recursive: true });
  const without = ['--exclude=*/man/*', '--exclude=*/docs/*'];
  await run('tar', ['-xzf', archive, '-C', folder, '--strip-components=1', '--no-same-owner', ...without]);
}

async function writeControl(work: string, { version }: Release): Promise<void> {
  const files = (await listFiles(work)).filter((path) => !path.startsWith('DEBIAN/'));
  const sums: string[] = [];
  let bytes = 0;
  for (const path of files) {
    const content = await readFile(join(work, path));
    bytes += content.length;
    // Debian's own format of this file; it protects against nobody.
    if (!path.startsWith('etc/')) sums.push(`${createHash('md5').update(content).digest('hex')}  ${path}\n`);
  }
  const control = `Package: soulbox
Version: ${version}
Architecture: amd64
Maintainer: SoulBox <soulbox@localhost>
Installed-Size: ${Math.ceil(bytes / 1024)}
Depends: ${depends.join(', ')}
Recommends: ${recommends.join(', ')}
Section: admin
Priority: optional
Description: self-hosted sandboxes for AI agents
 SoulBox runs untrusted code, such as what an AI agent has just written, in
 isolated sandboxes on this machine. It speaks the protocols of E2B: the official
 clients work with it. The package brings its own Node.js.
`;
  await writeFile(join(work, 'DEBIAN/control'), control);
  await writeFile(join(work, 'DEBIAN/conffiles'), '/etc/default/soulbox\n');
  await writeFile(join(work, 'DEBIAN/md5sums'), sums.join(''));
}

/** The same time and plain modes for all files, whatever the umask and the day. */
async function settle(folder: string, epoch: number): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).sort();
  for (const path of [...paths.reverse(), folder]) {
    const { mode } = await stat(path);
    await chmod(path, (mode & 0o100) === 0 ? 0o644 : 0o755);
    await lutimes(path, epoch, epoch);
  }
}

async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}
