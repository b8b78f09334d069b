/** @module-tag violation */
// Equal memory of real sandboxes, which the kernel keeps once.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomId } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPreparedBench } from '../conformance/prepared-bench.ts';
import { pause, stopAndSave } from '../conformance/saved-sandboxes.ts';
import type { TestSandbox } from '../conformance/test-sandbox.ts';
import { startMerging } from '../host/merge-memory.ts';
import { createContainerDriver } from './driver.ts';
import { criu } from './testing/test-criu.ts';
import { testInstance } from './testing/test-instance.ts';

const settings = '/sys/kernel/mm/ksm';
const given = { logger: silentLogger, instance: testInstance, criu };
const instanceNumber = testInstance;
const merging = createContainerDriver({ ...given, mergeMemory: true });
const bench = await openPreparedBench({ driver: merging, instanceNumber, firstNumber: 950 });
const usual = createContainerDriver(given);
const usualBench = await openPreparedBench({ driver: usual, instanceNumber, firstNumber: 970 });

const before = new Map<string, string>();
beforeAll(async () => {
  for (const name of ['run', 'advisor_mode', 'pages_to_scan'])
    before.set(name, (await readFile(join(settings, name), 'latin1')).replace(/.*\[(.*)\].*/, '$1').trim());
});
afterAll(async () => {
  for (const [name, value] of before) await writeFile(join(settings, name), value);
});

/** The host's numbers of the processes of a sandbox. */
async function processesOf({ instance }: TestSandbox): Promise<number[]> {
  const children = await readFile(`/proc/${instance.initPid}/task/${instance.initPid}/children`, 'latin1');
  return [instance.initPid, ...children.split(' ').filter(Boolean).map(Number)];
}

async function offersMemory(pid: number): Promise<boolean> {
  return /^VmFlags:.* mg\b/m.test(await readFile(`/proc/${pid}/smaps`, 'latin1'));
}

async function offers(sandbox: TestSandbox): Promise<boolean[]> {
  return await Promise.all((await processesOf(sandbox)).map(offersMemory));
}

/** A program with 32 MiB of pages that are equal in all sandboxes and differ from each other. */
const holder = `
import os, time
block = bytearray(32 << 20)
for page in range(0, len(block), 4096): block[page:page + 4] = (page + 1).to_bytes(4, 'big')
open('/ready', 'w').close()
while True:
    time.sleep(0.05)
    try: order = open('/order').read()
    except OSError: continue
    for page in range(0, len(block), 4096): block[page + 8:page + 12] = order.encode()
    same = all(block[page:page + 12] == (page + 1).to_bytes(4, 'big') + bytes(4) + order.encode() for page in range(0, len(block), 4096))
    with open('/result.new', 'w') as result: result.write(order + ' ' + str(same))
    os.rename('/result.new', '/result')
    break
time.sleep(600)
`;
const until = (file: string): string => `while [ ! -e ${file} ]; do sleep 0.05; done`;

async function hold(sandbox: TestSandbox): Promise<void> {
  await sandbox.sh(
    `cat > /holder.py << 'END'\n${holder}\nEND\nsetsid python3 /holder.py > /dev/null 2>&1 < /dev/null &`,
  );
  await sandbox.sh(until('/ready'));
}

/** MiB of a sandbox's processes that the kernel keeps once. */
async function mergedMb(sandbox: TestSandbox): Promise<number> {
  const texts = await Promise.all(
    (await processesOf(sandbox)).map((pid) => readFile(`/proc/${pid}/ksm_merging_pages`, 'latin1').catch(() => '0')),
  );
  return texts.reduce((sum, text) => sum + Number(text), 0) / 256;
}

test('programs of a container offer their memory, also after a restore', async () => {
  await using sandbox = await bench.start();
  // A program that begins has no memory yet that could be offered.
  const program = 'touch /ready; while true; do sleep 1; done';
  await sandbox.sh(`setsid sh -c '${program}' > /dev/null 2>&1 < /dev/null & ${until('/ready')}`);
  const started = await offers(sandbox);
  expect(started.length).toBeGreaterThan(1);
  expect(started).not.toContain(false);
  await using restored = await pause(bench, sandbox, 0);
  const after = await offers(restored);
  expect(after).toHaveLength(started.length);
  expect(after).not.toContain(false);
});

// Operators are told to leave KSM off while they have such checkpoints (docs/operations.md).
test('a checkpoint that was saved with the setting is restored with it where it is not set', async () => {
  await using sandbox = await bench.start();
  const { spec, instance } = sandbox;
  const memory = await stopAndSave(bench, instance);
  await merging.suspend(spec.sandboxId, spec.directory);
  const { initPid } = await usual.restore({ ...spec, disk: 'kept', generation: randomId(20) }, memory);
  expect(await offersMemory(initPid)).toBe(true);
});

test('without the setting nothing is offered, also after a restore', async () => {
  await using sandbox = await usualBench.start();
  expect(await offers(sandbox)).not.toContain(true);
  await using restored = await pause(usualBench, sandbox, 0);
  expect(await offers(restored)).not.toContain(true);
});

test('equal memory of two containers is kept once until one writes, and neither sees what the other writes', async () => {
  // A scan of the whole memory takes half a minute otherwise.
  await writeFile(join(settings, 'advisor_mode'), 'none');
  await writeFile(join(settings, 'pages_to_scan'), '5000');
  await merging.prepareHost();
  expect((await readFile(join(settings, 'run'), 'latin1')).trim()).toBe('1');
  await using one = await bench.start();
  await using other = await bench.start();
  await Promise.all([hold(one), hold(other)]);
  await expect
    .poll(() => Promise.all([mergedMb(one), mergedMb(other)]), { timeout: 60_000 })
    .toSatisfy((sizes) => {
      return (sizes as number[]).every((size) => size >= 32);
    });
  await Promise.all([
    one.sh('printf aaaa > /order.new; mv /order.new /order'),
    other.sh('printf bbbb > /order.new; mv /order.new /order'),
  ]);
  const results = await Promise.all([one, other].map((sandbox) => sandbox.sh(`${until('/result')}; cat /result`)));
  expect(results.map(({ stdout }) => stdout)).toEqual(['aaaa True', 'bbbb True']);
});

test('a kernel without KSM stops the start with the name of the setting', async () => {
  await expect(startMerging('/sys/kernel/mm/ksm-is-not-there/run')).rejects.toThrow(
    expect.objectContaining({
      reason: 'config_invalid',
      message: expect.stringContaining('SOULBOX_MERGE_MEMORY') as string,
    }),
  );
});
