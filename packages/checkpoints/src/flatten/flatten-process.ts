import { execFileSync } from 'node:child_process';
import { mkdirSync, statfsSync, writeFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { mergeLayer, tidyLayer } from './merge-layer.ts';

// Runs as a separate process in its own mount namespace: its mounts are invisible to others, and end with the process.
// Arguments: a scratch folder, the image to make, the images to merge, topmost first.

/** Name of the folder of a disk that is a layer of a root, see the driver. */
const upperName = 'u';
// The host must not use anything in a layer: neither devices nor programs.
const mountOptions = 'loop,noatime,nodev,nosuid,noexec';

const [scratch = '', image = '', ...layers] = process.argv.slice(2);
const mounted = layers.map((layer, index) => mountImage(layer, String(index), 'ro'));
makeImage();
const target = join(mountImage(image, 'merged', 'discard'), upperName);
mkdirSync(target);
for (const folder of mounted.reverse()) mergeLayer(join(folder, upperName), target);
tidyLayer(Buffer.from(target));
execFileSync('umount', ['--', join(scratch, 'merged')]);

function mountImage(path: string, name: string, option: string): string {
  const folder = join(scratch, name);
  mkdirSync(folder);
  execFileSync('mount', ['-t', 'ext4', '-o', `${mountOptions},${option}`, '--', path, folder]);
  return folder;
}

/** Makes an image that can hold the content of all layers, with the features of the driver's disks (its create.sh). */
function makeImage(): void {
  const used = mounted.map((folder) => statfsSync(folder));
  const bytes = used.reduce((sum, { bsize, blocks, bfree }) => sum + bsize * (blocks - bfree), 0);
  const inodes = used.reduce((sum, { files, ffree }) => sum + files - ffree, 1024);
  const blockBytes = 4096;
  writeFileSync(image, '', { flag: 'wx', mode: 0o600 });
  // A tenth and 32 MiB more for the file system's own tables, which depend on the size.
  truncateSync(image, Math.ceil((bytes * 1.1 + inodes * 256 + 32 * 1024 * 1024) / blockBytes) * blockBytes);
  const features = ['-b', String(blockBytes), '-I', '256', '-N', String(inodes), '-m', '0'];
  const lean = ['-O', '^has_journal,^resize_inode', '-E', 'lazy_itable_init=1,nodiscard'];
  execFileSync('mkfs.ext4', ['-q', '-F', ...features, ...lean, '--', image]);
}
