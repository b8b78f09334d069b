import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run, SoulBoxError } from '@soulbox/base';
import { runWithLines } from '../run-with-lines.ts';
import { readHostSources, sourcesToDeb822 } from './apt-sources.ts';
import { basePackages, baseSuite, excludedPaths } from './packages.ts';

// 25 s on 2 cores with a near mirror; a slow connection may need many times that.
const timeoutMs = 30 * 60_000;
// How this host reaches its archive. Needed while packages are fetched; useless inside a sandbox.
const copiedAptOptions = [
  'Acquire::http::Proxy',
  'Acquire::https::Proxy',
  'Acquire::Check-Valid-Until',
  'Acquire::Check-Date',
  'Acquire::Retries',
];

const progressByLine: readonly (readonly [RegExp, string])[] = [
  [/running apt-get update/, 'reading package lists'],
  [/downloading packages/, 'downloading packages'],
  [/extracting archives/, 'unpacking the essential packages'],
  [/installing essential packages/, 'configuring the essential packages'],
  [/installing remaining packages/, 'installing packages'],
  [/cleaning package lists/, 'cleaning up'],
];

// Packages that register a manual page among alternatives, such as Java's, fail if its folder is missing. mmdebstrap
// passes the root as $1.
const makeManualFolders = 'for section in 1 2 3 4 5 6 7 8 9; do mkdir -p "$1/usr/share/man/man$section"; done';

export interface BootstrapOptions {
  /** For temporary files. */
  readonly directory: string;
  /** Empty. */
  readonly rootfs: string;
  /** Packages beyond those of the base template. */
  readonly packages: readonly string[];
  readonly onProgress: (step: string) => void;
  readonly signal: AbortSignal | undefined;
}

/** Fills `rootfs` with Debian, the packages of the base template and others. Needs root. */
export async function bootstrapDebian(options: BootstrapOptions): Promise<void> {
  const { directory, rootfs, packages, onProgress, signal } = options;
  const sources = await readHostSources(baseSuite);
  const sourcesFile = join(directory, 'debian.sources');
  if (sources.length > 0) await writeFile(sourcesFile, sourcesToDeb822(sources), { mode: 0o644 });
  const args = [
    '--mode=root',
    '--variant=minbase',
    '--format=directory',
    `--include=${[...basePackages, ...packages].join(',')}`,
    '--dpkgopt=force-unsafe-io',
    ...excludedPaths.map((path) => `--dpkgopt=path-exclude=${path}`),
    '--dpkgopt=path-include=/usr/share/doc/*/copyright',
    `--extract-hook=${makeManualFolders}`,
    ...(await aptOptionsOfHost()),
    baseSuite,
    rootfs,
    ...(sources.length > 0 ? [sourcesFile] : []),
  ];
  try {
    // mmdebstrap mounts /proc, /sys and /dev: in a mount namespace of its own none of these mounts can be left behind.
    await runWithLines('unshare', ['--mount', '--propagation', 'private', '--', 'mmdebstrap', ...args], {
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
      onLine: (line) => {
        const step = progressByLine.find(([form]) => form.test(line))?.[1];
        if (step !== undefined) onProgress(step);
      },
    });
  } catch (error) {
    throw new SoulBoxError(
      'host_not_ready',
      `Debian's packages could not be installed: ${error instanceof Error ? error.message : 'mmdebstrap failed'}`,
      { cause: error },
    );
  }
  await rm(join(rootfs, 'etc/apt/apt.conf.d/99mmdebstrap'), { force: true });
}

async function aptOptionsOfHost(): Promise<string[]> {
  const dump = await run('apt-config', ['dump', '--no-empty', '--format', '%f%t%v%n']).catch(() => '');
  return dump.split('\n').flatMap((line) => {
    const [name = '', value = ''] = line.split('\t');
    return copiedAptOptions.includes(name) ? [`--aptopt=${name} "${value}";`] : [];
  });
}
