import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { lockRotation } from '@soulbox/keyring';
import { createBackup } from './create.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backup-'));
});
afterEach(() => removeTree(folder));

const backup = async (fillStage: () => Promise<void>): Promise<unknown> =>
  await createBackup({
    ...{
      dataDirectory: folder,
      templatesDirectory: join(folder, 'templates'),
      target: join(folder, 'target'),
      fillStage,
    },
    ...{ onStep: () => undefined, signal: new AbortController().signal },
  });

test('while a backup is made, the master key is not rotated; while it is rotated, no backup begins', async () => {
  let refused: unknown;
  const stopped = backup(async () => {
    refused = await lockRotation(folder).catch((error: unknown) => error);
    throw new Error('enough');
  });
  await expect(stopped).rejects.toThrow('enough');
  expect(refused).toMatchObject({ reason: 'illegal_transition' });
  await using _ = await lockRotation(folder);
  await expect(backup(() => Promise.resolve())).rejects.toMatchObject({ reason: 'illegal_transition' });
});
