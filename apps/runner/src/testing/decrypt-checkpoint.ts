import { hash } from 'node:crypto';
import { chmod, copyFile, mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { manifestFormat, openCheckpointStore, writeSealedJson } from '@soulbox/checkpoints';
import { fileKeyringRecords, fileMasterKeys, openKeyring } from '@soulbox/keyring';
import { checkpointKeys } from '../processes/checkpoint-keys.ts';

/**
 * Replaces a checkpoint by the form of versions that did not encrypt, with correct digests, as somebody with the keys
 * could. The runner of this data folder must not run.
 */
export async function decryptCheckpoint(dataDirectory: string, checkpointId: string): Promise<void> {
  using keyring = await openKeyring({
    records: fileKeyringRecords(join(dataDirectory, 'runner-keys.json')),
    sources: [fileMasterKeys(join(dataDirectory, 'secrets', 'master-key'))],
  });
  const clearDirectory = await mkdtemp(join(dataDirectory, 'clear-'));
  const options = { directory: dataDirectory, clearDirectory, keys: checkpointKeys(keyring), logger: silentLogger };
  {
    await using store = await openCheckpointStore(options);
    const checkpoint = await store.open(checkpointId);
    const { manifest, directory } = checkpoint;
    await using clear = await checkpoint.reveal({ isMemory: () => false, isLate: () => false });
    const parts: Record<string, unknown> = {};
    for (const [name, { sizeBytes }] of Object.entries(manifest.parts)) {
      await copyFile(join(clear.directory, name), join(directory, name));
      await chmod(join(directory, name), 0o644);
      const content = await readFile(join(directory, name));
      const starts = Array.from({ length: Math.ceil(sizeBytes / manifest.blockBytes) }, (_, at) => at);
      const blocks = starts.map((at) => content.subarray(at * manifest.blockBytes, (at + 1) * manifest.blockBytes));
      parts[name] = { sizeBytes, digests: blocks.map((block) => hash('sha256', block)) };
    }
    await writeSealedJson(join(directory, 'manifest.json'), { ...manifest, format: manifestFormat, parts });
    // A driver of those versions opened it to the ids of the sandbox.
    await chmod(directory, 0o755);
  }
  await removeTree(clearDirectory);
}
