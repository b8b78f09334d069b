import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Sandbox } from 'e2b';
import { until } from '../harness/until.ts';
import { clientOptions } from './client-options.ts';

/** Runs the installed command with further variables, and returns its output. */
export type RunSoulbox = (args: readonly string[], environment?: Readonly<Record<string, string>>) => Promise<string>;

/**
 * A server with an object store uploads a paused sandbox and its volume, and another data folder is recovered from the
 * store. `start`: the options of `soulbox up`.
 */
export async function tryStorage(run: RunSoulbox, scratch: string, start: readonly string[]): Promise<void> {
  const [lost, recovered] = [join(scratch, 'lost'), join(scratch, 'recovered')];
  const keyFile = join(scratch, 'storage.key');
  await writeFile(keyFile, await run(['storage', 'key']), { mode: 0o600 });
  const store = { SOULBOX_STORAGE: `file://${scratch}/store`, SOULBOX_STORAGE_KEY_FILE: keyFile };
  const soulbox = async (data: string, ...args: readonly string[]): Promise<string> =>
    await run([...args, '--data-dir', data], store);
  const sandboxId = await whileUp(lost, async () => {
    await soulbox(lost, 'volume', 'create', 'kept');
    const sandbox = await Sandbox.create({
      ...clientOptions(await soulbox(lost, 'env')),
      volumeMounts: { '/data': 'kept' },
    });
    await sandbox.commands.run('echo "on its disk" > own; echo "on the volume" > /data/file; sync');
    await sandbox.pause();
    const isUploaded = async (): Promise<boolean> =>
      await soulbox(lost, 'storage', 'status').then(
        () => true,
        () => false,
      );
    await until('everything is uploaded', isUploaded, 120_000);
    return sandbox.sandboxId;
  });
  await soulbox(recovered, 'storage', 'recover');
  await whileUp(recovered, async () => {
    const options = clientOptions(await soulbox(recovered, 'env'));
    const sandbox = await Sandbox.connect(sandboxId, options);
    assert.equal((await sandbox.commands.run('cat own /data/file')).stdout, 'on its disk\non the volume\n');
    assert.equal(await soulbox(recovered, 'volume', 'cat', 'kept:/file'), 'on the volume\n');
    await sandbox.kill();
  });

  async function whileUp<T>(data: string, work: () => Promise<T>): Promise<T> {
    await soulbox(data, 'up', '--detach', ...start);
    try {
      return await work();
    } finally {
      await soulbox(data, 'down');
    }
  }
}
