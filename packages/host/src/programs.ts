import type { Fix } from './finding.ts';

export interface Program {
  readonly name: string;
  readonly package: Fix;
  /** The version is only checked if a minimum is given, because each check needs a process. */
  readonly minimum?: { readonly version: readonly number[]; readonly why: string; readonly flag: string };
  readonly usedFor: string;
  /** The fix, if a package name is not enough. */
  readonly fix?: Fix;
  /** Without a required program no sandbox starts. */
  readonly required: boolean;
}

const everywhere = (name: string): Fix => ({ debian: name, fedora: name, alpine: name, arch: name });
const util = everywhere('util-linux');

/** The id of the finding about a program. */
export const programId = (name: string): string => `program-${name.replace('.', '-')}`;

/** Every host program that SoulBox calls. */
export const programs: readonly Program[] = [
  {
    name: 'crun',
    package: everywhere('crun'),
    minimum: {
      version: [1, 11],
      flag: '--version',
      why: 'older ones do not know process.scheduler, and those before 1.4.4 have CVE-2022-27650',
    },
    usedFor: 'starting sandboxes',
    required: true,
  },
  { name: 'nft', package: everywhere('nftables'), usedFor: 'the firewall and NAT of sandboxes', required: true },
  { name: 'ip', package: everywhere('iproute2'), usedFor: 'the network interfaces of sandboxes', required: true },
  {
    name: 'mount',
    package: { ...util, debian: 'mount' },
    minimum: { version: [2, 39], flag: '--version', why: 'X-mount.idmap came with 2.39' },
    usedFor: 'mapping the owners of a template into a sandbox',
    required: true,
  },
  { name: 'unshare', package: util, usedFor: 'the namespaces of sandboxes, building templates', required: true },
  { name: 'setpriv', package: util, usedFor: 'saving the memory of sandboxes', required: true },
  { name: 'mkfs.ext4', package: everywhere('e2fsprogs'), usedFor: 'the disks of sandboxes', required: true },
  {
    name: 'perl',
    package: { debian: 'perl-base', fedora: 'perl-interpreter', alpine: 'perl', arch: 'perl' },
    usedFor: 'the user namespaces of sandboxes, mounting volumes in them',
    required: true,
  },
  {
    name: 'mmdebstrap',
    package: everywhere('mmdebstrap'),
    fix: {
      debian: 'apt-get install mmdebstrap',
      fedora: 'dnf install mmdebstrap debian-keyring',
      alpine: 'not packaged: import a template named "base" from an image instead (soulbox template import)',
      arch: 'in the AUR: or import a template named "base" from an image (soulbox template import)',
    },
    usedFor: 'building the base template (not needed when you import one)',
    required: false,
  },
  {
    name: 'runsc',
    package: everywhere('runsc'),
    fix: {
      debian: 'apt-get install runsc',
      fedora: 'not packaged: install it as gvisor.dev/docs/user_guide/install says',
      alpine: 'not packaged: install it as gvisor.dev/docs/user_guide/install says',
      arch: 'in the AUR (gvisor-bin)',
    },
    usedFor: 'the isolation tier gvisor',
    required: false,
  },
  { name: 'skopeo', package: everywhere('skopeo'), usedFor: 'template import from images', required: false },
  { name: 'umoci', package: everywhere('umoci'), usedFor: 'template import from images', required: false },
  {
    name: 'bsdtar',
    package: { debian: 'libarchive-tools', fedora: 'bsdtar', alpine: 'libarchive-tools', arch: 'libarchive' },
    usedFor: 'template import from tar files',
    required: false,
  },
];
