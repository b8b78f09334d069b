/** Debian release of our templates. */
export const baseSuite = 'trixie';

/** What the base template has beyond Debian's essential packages. `git daemon` is part of `git`. */
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

/** Paths dpkg leaves out, here and when a sandbox installs more: a third of the files, and nobody reads them there. */
export const excludedPaths = ['/usr/share/man/*', '/usr/share/doc/*', '/usr/share/info/*', '/usr/share/locale/*'];

/**
 * npm comes from its own package: Debian's pulls in 300 packages, 190 MB and 19 s more, the registry's is
 * 3 MB in one file. `integrity` is what the registry publishes for this version.
 */
export const npmPackage = {
  version: '10.9.9',
  integrity: 'sha512-1g+6jLQvaIuB4zwvHL7yrXuXcWZwDsCtBX8bbWDqbvJSSr9nPiDDWTHNgwXR27iIcTTW7v3A57hDW9RYv2W4Yg==',
} as const;
