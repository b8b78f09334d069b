import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '@soulbox/base';
import { getAttribute, listAttributes } from '@soulbox/linux/file-attributes';
import type { Entry } from '../flatten/tree.ts';
import { listEntries } from '../flatten/tree.ts';

/** Number of tries. Each takes at least 20 ms. */
const releaseTries = 50;
/** The options with which the container driver mounts a sandbox's root. */
const overlayOptions = 'index=on,nfs_export=on,xino=off,metacopy=off,noatime';

/** Makes real disks and stacks them as a driver does. Disposing it unmounts and removes everything. */
export class OverlayLab implements AsyncDisposable {
  readonly directory: string;
  readonly base: string;
  /**
   * Mounts in it are shared: a shell that waits for the next restore (decision 077) keeps no copy of them. On a host
   * without systemd it would, and the disk could not be mounted with other options until that shell ends.
   */
  readonly mountPoints: string;
  readonly #mounts: string[] = [];
  #count = 0;

  private constructor(directory: string) {
    this.directory = directory;
    this.base = join(directory, 'base');
    this.mountPoints = join(directory, 'mounts');
  }

  /** `fillBase` is a script that fills the template's root. */
  static async open(fillBase: string): Promise<OverlayLab> {
    const lab = new OverlayLab(await mkdtemp(join(tmpdir(), 'soulbox-overlay-')));
    await mkdir(lab.mountPoints);
    await run('mount', ['--bind', '--make-shared', lab.mountPoints, lab.mountPoints]);
    await mkdir(lab.base);
    await run('sh', ['-euc', fillBase], { cwd: lab.base });
    return lab;
  }

  /** Gives the image of a disk that `work` has written, over the template and `below` (topmost first). */
  async write(below: readonly string[], work: (root: string) => Promise<void>): Promise<string> {
    const image = join(this.directory, `disk-${this.#count}.img`);
    const file = await open(image, 'wx');
    await file.truncate(128 * 1024 * 1024);
    await file.close();
    await run('mkfs.ext4', ['-q', '-F', '-O', '^has_journal', image]);
    const mountCount = this.#mounts.length;
    await work(await this.#stack(image, below));
    await this.#unmountDownTo(mountCount);
    return image;
  }

  /** The tree that a new sandbox over these layers sees. */
  async look(layers: readonly string[]): Promise<Record<string, unknown>> {
    let seen: Record<string, unknown> = {};
    await this.write(layers, (root) => {
      seen = describeTree(Buffer.from(root));
      return Promise.resolve();
    });
    return seen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#unmountDownTo(0);
    await run('umount', ['--', this.mountPoints]);
    await rm(this.directory, { recursive: true });
  }

  async #stack(image: string, below: readonly string[]): Promise<string> {
    const disk = await this.#mount(['-t', 'ext4', '-o', 'loop', image]);
    for (const folder of ['u', 'w']) await mkdir(join(disk, folder));
    const lowers = [];
    for (const layer of below) lowers.push(join(await this.#mount(['-t', 'ext4', '-o', 'loop,ro', layer]), 'u'));
    const folders = `lowerdir=${[...lowers, this.base].join(':')},upperdir=${disk}/u,workdir=${disk}/w`;
    return await this.#mount(['-t', 'overlay', '-o', `${folders},${overlayOptions}`, 'overlay']);
  }

  async #mount(args: readonly string[]): Promise<string> {
    const folder = join(this.mountPoints, `mount-${(this.#count += 1)}`);
    await mkdir(folder);
    await run('mount', [...args, folder]);
    this.#mounts.push(folder);
    return folder;
  }

  async #unmountDownTo(count: number): Promise<void> {
    while (this.#mounts.length > count) await run('umount', ['--', this.#mounts.pop() ?? '']);
    if (count === 0) await this.#waitUntilReleased();
  }

  /**
   * A mount namespace that another program made meanwhile has a copy of the mounts. Until it ends, a disk is not
   * written out completely and cannot be mounted with other options.
   */
  async #waitUntilReleased(): Promise<void> {
    const isHeld = async (): Promise<boolean> => (await run('losetup', ['--list'])).includes(`${this.directory}/`);
    for (let tries = 0; tries < releaseTries && (await isHeld()); tries++) await sleep(20);
  }
}

/** Everything that a process can see of a tree, by path. Of a file with several names, `link` is the first one. */
function describeTree(root: Buffer): Record<string, unknown> {
  const seen: Record<string, unknown> = {};
  const names = new Map<string, string>();
  const walk = (folder: Buffer): void => {
    for (const entry of listEntries(folder).sort((a, b) => Buffer.compare(a.name, b.name))) {
      const path = entry.path.subarray(root.length).toString('latin1');
      // Each file system under an overlay has its own inode numbers.
      const file = `${entry.stats.dev}:${entry.stats.ino}`;
      if (!names.has(file)) names.set(file, path);
      seen[path] = { ...describeEntry(entry), link: names.get(file) };
      if (entry.stats.isDirectory()) walk(entry.path);
    }
  };
  walk(root);
  return seen;
}

function describeEntry({ path, stats }: Entry): object {
  const attributes = listAttributes(path).map((name) => `${name}=${getAttribute(path, name)}`);
  return {
    mode: stats.mode.toString(8),
    owner: `${stats.uid}:${stats.gid}`,
    device: stats.rdev,
    modified: stats.mtimeNs,
    size: stats.isDirectory() ? undefined : stats.size,
    attributes: attributes.sort(),
    target: stats.isSymbolicLink() ? readlinkSync(path, 'latin1') : undefined,
    content: stats.isFile() ? createHash('sha256').update(readFileSync(path)).digest('hex') : undefined,
  };
}
