/** @module-tag violation */
import { hash } from 'node:crypto';
import {
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openTemplateStore } from '@soulbox/templates';
import { startRunnerProcess, testDirectory, testTemplatesDirectory } from '@soulbox/testing';
import type { RunnerProcess } from '@soulbox/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { HostRecord } from '../../registry/record.ts';
import { decryptCheckpoint } from '../../testing/decrypt-checkpoint.ts';
import { readStoredRecord } from '../../testing/stored-record.ts';

const instance = 3;
let directory: string;
let runner: RunnerProcess;
let templateId: string;
let sandboxId: string;

beforeAll(async () => {
  await mkdir(testDirectory, { recursive: true, mode: 0o700 });
  directory = await mkdtemp(join(testDirectory, 'damage-'));
  templateId = (await openTemplateStore(testTemplatesDirectory, silentLogger).find('base'))?.templateId ?? '';
  runner = await startRunnerProcess(instance, directory);
});

afterAll(async () => {
  await runner.stop();
  await removeTree(directory);
});

beforeEach(async () => {
  const request = { teamId: 't', templateId, timeoutSeconds: 600, secure: true };
  ({ sandboxId } = (await runner.call('createSandbox', request))['sandbox'] as { sandboxId: string });
});

afterEach(async () => {
  await runner.call('killSandbox', { sandboxId });
});

async function pause(): Promise<void> {
  await runner.call('pauseSandbox', { sandboxId, keepMemory: true });
}

async function resume(withMemory = true): Promise<void> {
  await runner.call('resumeSandbox', { sandboxId, timeoutSeconds: 600, withMemory });
}

async function expectResumes(): Promise<void> {
  await resume();
  expect(await runner.call('ask', { sandboxId })).toBe(true);
}

const recordPath = (): string => join(directory, 'sandboxes', `${sandboxId}.json`);
const diskPath = (): string => join(directory, 'sandboxes', sandboxId, `soulbox-${instance}-${sandboxId}.img`);
const manifestPath = ({ saved }: HostRecord): string =>
  join(directory, 'states', saved?.stateId ?? '', 'manifest.json');

async function readRecord(): Promise<HostRecord> {
  return await readStoredRecord(directory, sandboxId);
}

/** Everything of a sandbox that a refused resume must not change. */
async function describeDisk(): Promise<object> {
  const { size, mtimeMs, blocks } = await stat(diskPath());
  const record = await readRecord();
  return { size, mtimeMs, blocks, record, manifest: await readFile(manifestPath(record), 'utf8') };
}

async function expectRefused(step: Promise<unknown>, message: string): Promise<void> {
  await expect(step).rejects.toThrow(message);
  expect(await readRecord()).toMatchObject({ state: 'paused', disk: 'kept', slot: 0 });
}

/** Gives the previous byte. */
async function changeByte(at: number, change: (byte: number) => number): Promise<number> {
  const disk = await open(diskPath(), 'r+');
  try {
    const byte = Buffer.alloc(1);
    await disk.read(byte, 0, 1, at);
    const before = byte.readUInt8();
    await disk.write(Buffer.from([change(before)]), 0, 1, at);
    return before;
  } finally {
    await disk.close();
  }
}

/** Numbers of the blocks of 1 MiB that contain data. */
async function findData(): Promise<number[]> {
  const disk = (await readRecord()).saved?.disk;
  if (disk?.checked !== 'content') throw new Error('the disk has no digests');
  return Object.keys(disk.blocks).map(Number);
}

describe('the disk of a paused sandbox', () => {
  beforeEach(pause);

  it.each(['first', 'last'])(
    'with a byte flipped in its %s data is refused, and accepted when the byte is restored',
    async (which) => {
      const block = (await findData()).at(which === 'first' ? 0 : -1) ?? 0;
      const at = block * 2 ** 20 + 2000;
      const before = await changeByte(at, (byte) => byte ^ 1);
      const found = await describeDisk();
      await expectRefused(resume(), `The disk of the paused sandbox is altered in block ${block}. Nothing was started`);
      await expectRefused(resume(false), `The disk of the paused sandbox is altered in block ${block}.`);
      expect(await describeDisk()).toEqual(found);
      await changeByte(at, () => before);
      await expectResumes();
    },
  );

  it('with a byte in a hole is refused, and accepted when the byte is zero again', async () => {
    const { size } = await stat(diskPath());
    const data = await findData();
    const block =
      Array.from({ length: Math.floor(size / 2 ** 20) }, (_, at) => at).find((at) => !data.includes(at)) ?? 0;
    await changeByte(block * 2 ** 20, () => 1);
    await expectRefused(resume(), `is altered in block ${block}`);
    await changeByte(block * 2 ** 20, () => 0);
    await expectResumes();
  });

  it('that is missing is not created again, and is used when it is back', async () => {
    await rename(diskPath(), `${diskPath()}.away`);
    await expectRefused(resume(), 'The disk of the paused sandbox is missing');
    await expectRefused(resume(false), 'The disk of the paused sandbox is missing');
    await rename(`${diskPath()}.away`, diskPath());
    await expectResumes();
  });

  it('that was truncated is refused, and accepted when it is complete again', async () => {
    const { size } = await stat(diskPath());
    await truncate(diskPath(), size - 1);
    await expectRefused(resume(), 'The disk of the paused sandbox has a different size');
    await truncate(diskPath(), size);
    await expectResumes();
  });

  it('does not become a layer when it is altered', async () => {
    const before = await changeByte(2000, (byte) => byte ^ 1);
    const source = { case: 'sandboxId', value: sandboxId };
    await expectRefused(runner.call('forkSandbox', { source, count: 2 }), 'is altered in block 0');
    await expectRefused(runner.call('makeSnapshot', { sandboxId, snapshotId: 's1' }), 'is altered in block 0');
    await changeByte(2000, () => before);
    await expectResumes();
  });

  it('is digested by the next server when its record lacks the digests', async () => {
    await runner.kill();
    const { saved, ...record } = await readRecord();
    const { disk, ...without } = saved ?? {};
    await writeFile(recordPath(), JSON.stringify({ ...record, saved: without }));
    runner = await startRunnerProcess(instance, directory);
    expect((await readRecord()).saved?.disk).toEqual(disk);
    await changeByte(2000, (byte) => byte ^ 1);
    await expectRefused(resume(), 'is altered in block 0');
  });
});

/** Kills the runner when only the disk is left in a sandbox's folder. At that time its processes have ended. */
async function killWhenSuspended(): Promise<void> {
  const folder = join(directory, 'sandboxes', sandboxId);
  for (;;) {
    const isSuspended = await stat(join(folder, 'container.json')).then(
      () => false,
      () => true,
    );
    if (isSuspended) break;
    await sleep(1);
  }
  await runner.kill();
}

describe('a runner that is killed between the end of the processes and the digests of the disk', () => {
  it('leaves a pause that the next runner completes, including the digests', async () => {
    const told = pause().catch(() => undefined);
    await killWhenSuspended();
    await told;
    expect((await readRecord()).state).toBe('pausing');
    runner = await startRunnerProcess(instance, directory);
    expect(await readRecord()).toMatchObject({ state: 'paused', saved: { disk: { checked: 'content' } } });
    await changeByte(2000, (byte) => byte ^ 1);
    await expectRefused(resume(), 'is altered in block 0');
    await changeByte(2000, (byte) => byte ^ 1);
    await expectResumes();
  });
});

describe('the checkpoint of a paused sandbox', () => {
  beforeEach(pause);

  it('names the CRIU version that saved it', async () => {
    const text = await readFile(manifestPath(await readRecord()), 'utf8');
    const { content } = JSON.parse(text) as { content: { readonly facts: Readonly<Record<string, unknown>> } };
    expect(content.facts['driver']).toBe('container');
    expect(content.facts['driverVersion']).toMatch(/^criu \d+\.\d+/);
  });

  it('of another format version is refused, and can be restored where the version is known', async () => {
    const path = manifestPath(await readRecord());
    const sealed = await readFile(path, 'utf8');
    const { content } = JSON.parse(sealed) as { content: { readonly format: number } };
    const text = JSON.stringify({ ...content, format: content.format + 1 });
    await writeFile(path, `{"sha256":"${hash('sha256', text)}","content":${text}}\n`);
    await expectRefused(resume(), 'has the format 3, but this version reads 1 and 2.');
    await writeFile(path, sealed);
    await expectResumes();
  });

  it('with an altered manifest is refused', async () => {
    const path = manifestPath(await readRecord());
    const sealed = await readFile(path, 'utf8');
    await writeFile(path, sealed.replace('"driverVersion":', '"driverVersioN":'));
    await expectRefused(resume(), 'is incomplete or altered');
    await writeFile(path, sealed);
    await expectResumes();
  });

  it('that was decrypted is refused, and one that an older version left readable is restored', async () => {
    await runner.stop();
    const { saved, ...record } = await readRecord();
    await decryptCheckpoint(directory, saved?.stateId ?? '');
    runner = await startRunnerProcess(instance, directory);
    await expectRefused(resume(), 'was encrypted, but is readable. Nothing was started from it.');
    await runner.stop();
    const { isEncrypted, ...older } = saved ?? {};
    expect(isEncrypted).toBe(true);
    await writeFile(recordPath(), JSON.stringify({ ...record, saved: older }));
    runner = await startRunnerProcess(instance, directory);
    await expectResumes();
    // The next pause encrypts.
    await pause();
    expect((await readRecord()).saved?.isEncrypted).toBe(true);
    await expectResumes();
  });

  it('of another sandbox is refused in its place, as a whole and part by part', async () => {
    const own = join(directory, 'states', (await readRecord()).saved?.stateId ?? '');
    const request = { teamId: 't', templateId, timeoutSeconds: 600, secure: true };
    const { sandboxId: otherId } = (await runner.call('createSandbox', request))['sandbox'] as { sandboxId: string };
    await runner.call('pauseSandbox', { sandboxId: otherId, keepMemory: true });
    const other = join(directory, 'states', (await readStoredRecord(directory, otherId)).saved?.stateId ?? '');
    await rename(own, `${own}.kept`);
    await cp(other, own, { recursive: true });
    await expectRefused(resume(), 'is altered or belongs to another checkpoint');
    await removeTree(own);
    await cp(`${own}.kept`, own, { recursive: true });
    const parts = (await readdir(own)).filter((name) => /^(inventory|pstree|mm-1|pages-1)\.img$/.test(name));
    expect(parts).toHaveLength(4);
    for (const part of parts) {
      const content = await readFile(join(other, part));
      // Of the same size, because another size is noticed without any key.
      const { size } = await stat(join(own, part));
      await writeFile(join(own, part), Buffer.concat([content, Buffer.alloc(size)]).subarray(0, size));
      await expectRefused(resume(), `altered`);
      await copyFile(join(`${own}.kept`, part), join(own, part));
    }
    await removeTree(`${own}.kept`);
    await runner.call('killSandbox', { sandboxId: otherId });
    await expectResumes();
  });
});
