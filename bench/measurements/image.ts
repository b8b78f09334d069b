import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { makeBusyboxRootfs, makeImage, pushImage, startRegistry } from '@soulbox/templates/testing';
import { testDirectory } from '@soulbox/testing';
import { startBuilds } from '../builds.ts';
import type { Measurement } from '../measurement.ts';

const rounds = 3;
const fileCount = 64;
const fileBytes = 16 * 2 ** 20;

/**
 * A build that only fetches an image of 1 GiB from a registry of its own. Half of the bytes compress well, as in images
 * of programs. Each round has another digest, so nothing is cached; by then the registry has the layer in memory.
 */
export const image: Measurement = {
  name: 'image',
  async *run(lab) {
    const directory = await mkdtemp(join(testDirectory, 'bench-image-'));
    lab.use({ [Symbol.asyncDispose]: async () => await removeTree(directory) });
    const registry = await startRegistry(join(directory, 'registry'));
    lab.use(registry);
    await using builds = await startBuilds(lab, { SOULBOX_INSECURE_REGISTRIES: registry.address });
    lab.progress('image: making one of 1 GiB');
    const layout = await makeLargeImage(directory);
    const first: number[] = [];
    const again: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const name = `${registry.address}/bench/large:${round}`;
      await run('umoci', ['config', '--image', layout.replace('oci:', ''), '--config.env', `ROUND=${round}`]);
      await pushImage(layout, name);
      for (const samples of [first, again]) {
        lab.progress(`image, round ${round + 1} of ${rounds}`);
        samples.push(await builds.time({ image: { reference: name }, steps: [] }));
      }
    }
    yield* [
      { what: 'build from an image of 1 GiB', unit: 'ms', samples: first },
      { what: 'the same image again', unit: 'ms', samples: again },
    ];
  },
};

async function makeLargeImage(directory: string): Promise<string> {
  const rootfs = join(directory, 'rootfs');
  await makeBusyboxRootfs(rootfs);
  await mkdir(join(rootfs, 'opt'));
  for (let index = 0; index < fileCount; index++) {
    const block = index % 2 === 0 ? randomBytes(fileBytes) : Buffer.alloc(fileBytes, `line ${index} of a text\n`);
    await writeFile(join(rootfs, `opt/${index}`), block);
  }
  const layout = await makeImage(rootfs, join(directory, 'layout'));
  await removeTree(rootfs);
  return layout;
}
