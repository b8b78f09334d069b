import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createMemoryFs } from '../memory/memory-fs.ts';
import { whyNoMounts } from '../testing/start-memory.ts';
import { mountFs } from './mount-fs.ts';
import { createWriteBuffers } from './write-buffers.ts';

test('no number of buffers is refused', () => {
  for (const max of [0, -1, 1.5, NaN]) expect(() => createWriteBuffers(max)).toThrow(RangeError);
});

/** Eight threads write a file of 2 MiB each. */
const writer = `
import sys, threading
def write(n):
    with open(f"{sys.argv[1]}/{n}", "wb", buffering=0) as f:
        for _ in range(8): f.write(b"x" * 262144)
threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
for t in threads: t.start()
for t in threads: t.join()
`;

test.skipIf(whyNoMounts !== undefined)(
  `mounts share buffers, and none waits for the others for ever${whyNoMounts === undefined ? '' : ` (${whyNoMounts})`}`,
  async () => {
    const writeBuffers = createWriteBuffers(3);
    const folders = await Promise.all([0, 1, 2].map(async () => await mkdtemp(join(tmpdir(), 'fuse-buffers-'))));
    const [now, most] = [[0, 0, 0], { together: 0, alone: 0 }];
    await using stack = new AsyncDisposableStack();
    for (const [at, mountPoint] of folders.entries()) {
      stack.defer(async () => await rm(mountPoint, { recursive: true }));
      const fs = createMemoryFs();
      const slow: typeof fs.write = async (...write) => {
        now[at] = (now[at] ?? 0) + 1;
        most.together = Math.max(
          most.together,
          now.reduce((sum, one) => sum + one, 0),
        );
        most.alone = Math.max(most.alone, now[at]);
        await sleep(2);
        now[at] -= 1;
        return await (fs.write?.(...write) ?? 0);
      };
      stack.use(await mountFs({ ...fs, write: slow }, { mountPoint, writeBuffers }));
    }
    const children = folders.map((folder) =>
      spawn('/usr/bin/python3', ['-c', writer, folder], { stdio: ['ignore', 'ignore', 'inherit'] }),
    );
    const ended = await Promise.all(children.map(async (child): Promise<unknown> => await once(child, 'exit')));
    expect(ended).toEqual([
      [0, null],
      [0, null],
      [0, null],
    ]);
    // Each may have one beyond the limit.
    expect(most.together).toBeGreaterThan(1);
    expect(most.together).toBeLessThanOrEqual(3 + folders.length);
    expect(most.alone).toBeLessThanOrEqual(3);
  },
);
