import { describe, expect, test } from 'vitest';
import type { Stage } from './stage.ts';
import { hostTraces } from './host-traces.ts';
import { freezeInto, savedMemory } from './saved-sandboxes.ts';
import type { TestSandbox } from './test-sandbox.ts';

const unixServer = `import socket
s = socket.socket(socket.AF_UNIX)
s.bind("/srv/socket")
s.listen()
while True: s.accept()[0].send(b"answer")`;
const unixClient = `import socket
s = socket.socket(socket.AF_UNIX)
s.connect("/srv/socket")
print(s.recv(100).decode())`;

/** One saved sandbox becomes many, on top of the frozen disk of the first. */
export function describeCopies(stage: Stage): void {
  describe('copies', () => {
    test('one saved memory becomes several sandboxes at once, each with its own identity', async () => {
      await using source = await stage.bench.start();
      await source.sh('echo before > /file; echo before > /dev/shm/file; setsid sleep 600 > /dev/null 2>&1 &');
      await source.sh(
        `setsid python3 -c '${unixServer}' > /dev/null 2>&1 & until [ -e /srv/socket ]; do sleep 0.05; done`,
      );
      const { memory, layer } = await freezeInto(stage.bench, source);
      const copies = await Promise.all(
        ['one', 'two', 'three'].map(async (hostname) => {
          const spec = await stage.bench.createSpec({ hostname, layers: [layer] });
          return await stage.bench.restore(memory, spec);
        }),
      );
      const identity =
        'hostname; cat /etc/hostname /etc/machine-id /proc/sys/kernel/random/boot_id /run/soulbox/generation';
      const identities = await Promise.all(copies.map(async (copy) => (await copy.sh(identity)).stdout.split('\n')));
      for (const [index, name] of ['one', 'two', 'three'].entries())
        expect(identities[index]?.slice(0, 2)).toEqual([name, name]);
      for (const field of [2, 3, 4]) expect(new Set(identities.map((lines) => lines[field])).size).toBe(3);
      for (const copy of copies) {
        await copy.sh(`echo ${copy.spec.hostname} > /own; echo ${copy.spec.hostname} >> /file`);
        const { stdout } = await copy.sh('cat /own /file /dev/shm/file; pgrep -c sleep; stat -c %u /file /own');
        const { hostname } = copy.spec;
        expect(stdout).toBe(`${hostname}\nbefore\n${hostname}\nbefore\n1\n0\n0\n`);
        expect((await copy.sh(`python3 -c '${unixClient}'`)).stdout).toBe('answer\n');
        expect((await copy.sh('cat /proc/self/mountinfo')).stdout).not.toContain(layer);
      }
      await endAll(copies);
    });

    test('a copy of a copy has the files of all its sources', async () => {
      await using first = await stage.bench.start();
      await first.sh('echo 1 > /one; echo gone > /gone; mkdir /folder; touch /folder/old');
      const checkpoints = [await freezeInto(stage.bench, first)];
      for (const number of [2, 3]) {
        const layers = checkpoints.map(({ layer }) => layer).reverse();
        const { memory } = checkpoints.at(-1) ?? { memory: savedMemory('') };
        const copy = await stage.bench.restore(memory, await stage.bench.createSpec({ layers }));
        await copy.sh(
          `echo ${number} > /number-${number}; rm -rf /gone /folder; mkdir -p /folder; touch /folder/${number}`,
        );
        checkpoints.push(await freezeInto(stage.bench, copy));
      }
      const layers = checkpoints.map(({ layer }) => layer).reverse();
      const last = await stage.bench.restore(
        checkpoints[2]?.memory ?? savedMemory(''),
        await stage.bench.createSpec({ layers }),
      );
      expect((await last.sh('cat /one /number-2 /number-3; ls /folder; ls /gone')).stdout).toBe('1\n2\n3\n3\n');
      await endAll([last]);
    });

    test('a copy without memory has the files, but not the shared memory of its source', async () => {
      await using source = await stage.bench.start();
      await source.sh('echo kept > /kept; echo past > /dev/shm/past');
      const { layer } = await freezeInto(stage.bench, source);
      await using copy = await stage.bench.start({ layers: [layer] });
      expect((await copy.sh('cat /kept; ls -A /dev/shm; stat -c "%a %u" /dev/shm')).stdout).toBe('kept\n1777 0\n');
    });

    test('a fresh disk is smaller by the content of the layers', async () => {
      await using source = await stage.bench.start();
      await source.sh('head -c 100M /dev/urandom > /large; sync');
      const { layer } = await freezeInto(stage.bench, source);
      await using copy = await stage.bench.start({ layers: [layer] });
      const { diskTotalBytes } = stage.bench.driver.sample(copy.instance);
      expect(diskTotalBytes / 2 ** 20).toBeGreaterThan(130);
      expect(diskTotalBytes / 2 ** 20).toBeLessThan(160);
    });
  });
}

async function endAll(sandboxes: readonly TestSandbox[]): Promise<void> {
  await Promise.all(sandboxes.map((sandbox) => sandbox[Symbol.asyncDispose]()));
  expect(await hostTraces(...sandboxes.map(({ spec }) => spec))).toEqual([]);
}
