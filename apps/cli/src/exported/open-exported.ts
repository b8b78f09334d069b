import { mkdtemp, open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { isIntact, isSigned, openExport, unusable } from '@soulbox/contract/export-file';
import type { ExportManifest } from '@soulbox/contract/export-file';
import { openExt4 } from './ext4.ts';
import type { Ext4Image } from './ext4.ts';
import { viewLayers } from './file-view.ts';
import type { FileView } from './file-view.ts';

export interface Exported extends AsyncDisposable {
  readonly manifest: ExportManifest;
  readonly files: FileView;
}

/**
 * Unpacks the layers of an export into a temporary folder, checked, and reads their files. Nothing is mounted, and
 * nothing in the file becomes a path. After an abort of `stop` it throws its reason, as does reading the files, so that
 * the caller can dispose the folder. Throws `export_unusable`.
 */
export async function openExported(source: AsyncIterable<Uint8Array>, stop: AbortSignal): Promise<Exported> {
  await using parts = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-inspect-'));
  parts.defer(async () => await removeTree(folder));
  const opened = await openExport(source);
  if (!isSigned(opened.manifestBytes, opened.signature)) throw unusable('its signature does not match');
  const layers = opened.manifest.parts.filter(({ kind }) => kind === 'layer');
  const paths = layers.map((_, part) => join(folder, `${part}.img`));
  const files: FileHandle[] = [];
  try {
    for (const [part, path] of paths.entries()) {
      const file = await open(path, 'wx', 0o600);
      files.push(file);
      await file.truncate(layers[part]?.sizeBytes ?? 0);
    }
    for await (const block of opened.blocks()) {
      stop.throwIfAborted();
      const file = files[block.place.part];
      // The memory comes last.
      if (file === undefined) break;
      if (!(await isIntact(block))) throw unusable('a block of its data is altered');
      await file.write(block.bytes, 0, block.bytes.length, block.place.offset);
    }
  } finally {
    for (const file of files) await file.close();
  }
  const images: Ext4Image[] = [];
  for (const path of paths) images.push(parts.use(await openExt4(path, stop)));
  const view = await viewLayers(images);
  const kept = parts.move();
  return { manifest: opened.manifest, files: view, [Symbol.asyncDispose]: async () => await kept.disposeAsync() };
}
