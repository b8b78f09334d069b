import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { FuseError } from '@soulbox/fuse';
import type { FuseFs } from '@soulbox/fuse';
import { blockBytes, inlineBytes } from '../limits.ts';
import { createVolumeFs } from '../mount/volume-fs.ts';
import { createVolume, openVolume } from '../volume/open.ts';
import type { Volume } from '../volume/open.ts';
import { createModel, resizeModel, writeModel } from './model.ts';
import type { ModelFile, ModelFolder, ModelNode } from './model.ts';
import { createRandom } from './random.ts';
import { createRequests } from './requests.ts';

export interface ModelOptions {
  readonly data: string;
  readonly seed: number;
  readonly steps: number;
}

type Fs = Required<FuseFs>;

const request = createRequests();
const bytes = (name: string): Buffer => Buffer.from(name);
const names = ['a', 'b', 'c', 'd', 'e'] as const;
const places = [
  ...([0, 100, inlineBytes - 10, inlineBytes, 200_000] as const),
  ...([blockBytes - 5, blockBytes, blockBytes + inlineBytes] as const),
] as const;
const lengths = [0, 1, 10, 5000, inlineBytes, inlineBytes + 1, 70_000] as const;
const stepsBetweenComparisons = 40;
const readBytes = 3 * 1024 * 1024;

/** Carries out random operations on a new volume and on a model. Throws an `AssertionError` where they differ. */
export async function compareWithModel({ data, seed, steps }: ModelOptions): Promise<void> {
  const quota = { bytes: undefined, inodes: undefined };
  createVolume(data, { id: 'v', quota, root: { uid: 0, gid: 0, mode: 0o755 } });
  const random = createRandom(seed);
  const model = createModel();
  let { volume, fs } = await open(data, false);
  /** What was found by the kernel, with files that have lost their names. */
  const inos = new Map<ModelNode, number>([[model.root, 1]]);
  let orphans: ModelFile[] = [];
  const inoOf = (node: ModelNode): number => inos.get(node) ?? 0;
  const files = (): ModelFile[] => {
    const named = [...inos.keys()].filter((node): node is ModelFile => node.kind === 'file' && node.nlink > 0);
    return [...new Set([...named, ...orphans])];
  };
  const anyFile = (): ModelFile | undefined => files()[random.below(files().length)];
  const folder = (): ModelFolder => random.pick(model.folders() as [ModelFolder]);
  const both = async (what: string, real: () => unknown, modelled: () => unknown): Promise<void> => {
    const wanted = await outcome(modelled);
    assert.equal(`${what}: ${await outcome(real)}`, `${what}: ${wanted}`, `seed ${seed}`);
  };
  const noteOrphans = (before: readonly ModelFile[]): void => {
    orphans = [...new Set([...orphans, ...before.filter(({ nlink }) => nlink === 0)])];
  };
  const make = async (
    what: string,
    real: (parent: number, name: Buffer) => Promise<number>,
    modelled: (parent: ModelFolder, name: string) => ModelNode,
  ): Promise<void> => {
    const [parent, name] = [folder(), random.pick(names)];
    let made: { node?: ModelNode; ino?: number } = {};
    await both(
      what,
      async () => (made = { ...made, ino: await real(inoOf(parent), bytes(name)) }),
      () => (made = { ...made, node: modelled(parent, name) }),
    );
    if (made.node !== undefined) inos.set(made.node, made.ino ?? 0);
  };

  const operations: Readonly<Record<string, () => Promise<void>>> = {
    create: () =>
      make(
        'create',
        async (parent, name) => (await fs.create(parent, name, 0o644, 0x80, request())).entry.nodeId,
        (parent, name) => model.createFile(parent, name),
      ),
    mkdir: () =>
      make(
        'mkdir',
        async (parent, name) => (await fs.mkdir(parent, name, 0o755, request())).nodeId,
        (parent, name) => model.createFolder(parent, name),
      ),
    async unlink() {
      const [parent, name, before] = [folder(), random.pick(names), files()];
      await both(
        'unlink',
        () => fs.unlink(inoOf(parent), bytes(name), request()),
        () => {
          model.unlink(parent, name);
        },
      );
      noteOrphans(before);
    },
    async rmdir() {
      const [parent, name] = [folder(), random.pick(names)];
      await both(
        'rmdir',
        () => fs.rmdir(inoOf(parent), bytes(name), request()),
        () => {
          model.removeFolder(parent, name);
        },
      );
    },
    async rename() {
      const [from, name, to, newName] = [folder(), random.pick(names), folder(), random.pick(names)];
      const [isExchange, before] = [random.below(4) === 0, files()];
      await both(
        `rename ${isExchange}`,
        () => fs.rename(inoOf(from), bytes(name), inoOf(to), bytes(newName), isExchange ? 2 : 0, request()),
        () => {
          if (isExchange) model.exchange(from, name, to, newName);
          else model.rename(from, name, to, newName);
        },
      );
      noteOrphans(before);
    },
    async link() {
      const file = anyFile();
      if (file === undefined || file.nlink === 0) return;
      const [parent, name] = [folder(), random.pick(names)];
      await both(
        'link',
        () => fs.link(inoOf(file), inoOf(parent), bytes(name), request()),
        () => {
          model.link(file, parent, name);
        },
      );
    },
    async xattr() {
      const file = anyFile();
      if (file === undefined) return;
      const [name, value] = [`user.${random.pick(names)}`, 'x'.repeat(random.below(50))];
      if (random.below(3) > 0)
        await both(
          'setxattr',
          () => fs.setxattr(inoOf(file), bytes(name), bytes(value), 0, request()),
          () => file.xattrs.set(name, value),
        );
      else
        await both(
          'removexattr',
          () => fs.removexattr(inoOf(file), bytes(name), request()),
          () => {
            if (!file.xattrs.delete(name)) throw new FuseError('ENODATA');
          },
        );
    },
    async resize() {
      const file = anyFile();
      if (file === undefined) return;
      const size = random.pick(places) + random.below(20);
      await fs.setattr(inoOf(file), { size, killSuidgid: false }, request());
      resizeModel(file, size);
    },
    async clear() {
      const file = anyFile();
      const [offset, length] = [random.pick(places) + random.below(20), random.pick(lengths)];
      if (file === undefined || length === 0) return;
      const punches = random.below(2) === 0;
      await fs.fallocate(inoOf(file), 0, punches ? 3 : 16, offset, length, request());
      if (!punches && offset + length > file.content.length) resizeModel(file, offset + length);
      const size = file.content.length;
      file.content.fill(0, Math.min(offset, size), Math.min(offset + length, size));
    },
    async rest() {
      await volume.atRest(() => undefined);
    },
    async takeover() {
      for (const file of orphans) fs.forget(inoOf(file));
      orphans = [];
      await volume[Symbol.asyncDispose]();
      ({ volume, fs } = await open(data, true));
    },
  };
  const write = async (): Promise<void> => {
    const file = anyFile();
    if (file === undefined) return;
    const [offset, length] = [random.pick(places) + random.below(20), random.pick(lengths)];
    const content = Buffer.alloc(length, 1 + random.below(255));
    const isAppend = random.below(5) === 0;
    const options = { flags: isAppend ? 0x400 : 0, isWriteback: false, killSuidgid: false };
    assert.equal(await fs.write(inoOf(file), 0, offset, content, options, request()), length);
    if (length > 0) writeModel(file, isAppend ? file.content.length : offset, content);
  };

  const list = Object.values(operations);
  for (let step = 1; step <= steps; step += 1) {
    await (list[random.below(list.length + 5)] ?? write)();
    if (step % stepsBetweenComparisons !== 0) continue;
    assert.deepEqual(await contentOf(fs, 1), plainOf(model.root), `seed ${seed}, step ${step}`);
    for (const file of orphans) assert.deepEqual(await fileOf(fs, inoOf(file)), plainOf(file));
  }
  await fs.destroy();
  assert.deepEqual(await volume.metadata.listOrphans(0, 10), []);
  await volume[Symbol.asyncDispose]();
}

async function open(data: string, isTakeover: boolean): Promise<{ volume: Volume; fs: Fs }> {
  const volume = await openVolume(data, 'v');
  const fs = createVolumeFs(volume, { mount: 'm', ttlMs: () => 0 }) as Fs;
  const notify = { invalidateNode: () => Promise.resolve(), invalidateEntry: () => Promise.resolve() };
  await fs.init({ isTakeover, maxWriteBytes: 1024 * 1024, notify });
  return { volume, fs };
}

async function outcome(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'done';
  } catch (thrown) {
    if (!(thrown instanceof FuseError)) throw thrown;
    return thrown.code;
  }
}

/** What is in a folder, read as the kernel would. */
async function contentOf(fs: Fs, ino: number): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  for (let cookie = 0; ;) {
    const entries = [...(await fs.readdir(ino, 0, cookie, 3, true, request()))];
    for (const { name, ino: child, type } of entries) {
      const text = Buffer.from(name).toString();
      if (text === '.' || text === '..') continue;
      found.set(text, type === 0o040000 ? await contentOf(fs, child) : await fileOf(fs, child));
    }
    const last = entries.at(-1);
    if (last === undefined) return found;
    cookie = last.cookie;
  }
}

async function fileOf(fs: Fs, ino: number): Promise<unknown> {
  const { attr } = await fs.getattr(ino, undefined, request());
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < attr.size; offset += readBytes)
    pieces.push((await fs.read(ino, 0, offset, readBytes, request())) as Uint8Array);
  const xattrs = new Map<string, string>();
  for (const name of await fs.listxattr(ino, request())) {
    const value = await fs.getxattr(ino, Buffer.from(name), request());
    xattrs.set(Buffer.from(name).toString(), Buffer.from(value ?? []).toString());
  }
  return { content: brief(Buffer.concat(pieces)), nlink: attr.nlink, xattrs };
}

const brief = (content: Buffer): string => `${content.length} ${createHash('sha1').update(content).digest('hex')}`;

const plainOf = (node: ModelNode): unknown =>
  node.kind === 'file'
    ? { content: brief(node.content), nlink: node.nlink, xattrs: node.xattrs }
    : new Map([...node.entries].map(([name, child]) => [name, plainOf(child)]));
