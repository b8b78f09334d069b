/** Debian release of our templates. */
export const baseSuite = 'trixie';

/** The packages of the base template beyond Debian's essential ones. `git daemon` is part of `git`. */
export const basePackages = [
  'bash',
  'ca-certificates',
  'coreutils',
  'curl',
  'git',
  'iproute2',
  'less',
  'nodejs',
  'procps',
  'python-is-python3',
  'python3',
  'python3-pip',
  'python3-venv',
  'sudo',
  'unzip',
  'xz-utils',
] as const;

/**
 * Paths that dpkg leaves out, here and when a sandbox installs more: a third of the files, which nobody reads there.
 */
export const excludedPaths = ['/usr/share/man/*', '/usr/share/doc/*', '/usr/share/info/*', '/usr/share/locale/*'];

/**
 * npm comes from its own package: Debian's pulls in 300 packages, 190 MB and 19 s more; the registry's is 3 MB in one
 * file. `integrity` is the value that the registry publishes for this version.
 */
export const npmPackage = {
  version: '10.9.9',
  integrity: 'sha512-1g+6jLQvaIuB4zwvHL7yrXuXcWZwDsCtBX8bbWDqbvJSSr9nPiDDWTHNgwXR27iIcTTW7v3A57hDW9RYv2W4Yg==',
} as const;
