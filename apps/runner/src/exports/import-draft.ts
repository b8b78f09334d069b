import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { errorFromNode, isDiskFull, randomId, SoulBoxError } from '@soulbox/base';
import type { CheckpointDraft } from '@soulbox/checkpoints';
import { digestsFromRuns, placesOf, unusable } from '@soulbox/contract/export-file';
import type { BlockPlace, ExportManifest } from '@soulbox/contract/export-file';
import type { OperationContext } from '../operations/operation-context.ts';
import { getDriver } from '../processes/sandbox-host.ts';

/** Files of an import, which nothing names yet. Disposing an unfinished one leaves nothing. */
export interface ImportDraft extends AsyncDisposable {
  readonly checkpointId: string;
  /** Topmost first. */
  readonly layers: readonly string[];
  /** Writes the next block. Throws `export_unusable` for another one or another content, and `disk_full`. */
  take(index: number, bytes: Uint8Array): Promise<void>;
  /** All blocks are there. Gives the draft of the checkpoint, and layers that are sealed. Throws `export_unusable`. */
  complete(): Promise<CheckpointDraft>;
}

/** `manifest` has only the parts that are wanted. Its blocks arrive in order. */
export async function createImportDraft(context: OperationContext, manifest: ExportManifest): Promise<ImportDraft> {
  const { host, references } = context;
  const checkpointId = randomId(20);
  const layers = manifest.parts.filter(({ kind }) => kind === 'layer').map(() => randomId(20));
  await using parts = new AsyncDisposableStack();
  // Last: the layers can be collected when nothing holds them.
  parts.defer(async () => await references.collect());
  parts.use(references.hold({ checkpoints: [checkpointId], layers }));
  const draft = parts.use(await host.checkpoints.begin(checkpointId, layers));
  const driver = getDriver(host, manifest.sandbox.isolation);
  draft.follow((partName) => driver.isMemoryPart(partName));
  const files = parts.use(createFiles(manifest, (part) => pathOf(part)));
  const pathOf = (part: number): string => {
    const layerId = layers[part];
    return layerId === undefined
      ? join(draft.directory, manifest.parts[part]?.name ?? '')
      : host.checkpoints.layerPath(layerId);
  };
  // Holes and empty files exist even if no block arrives.
  for (const part of manifest.parts.keys()) await files.make(part);
  const places = placesOf(manifest);
  let next = 0;
  let place = places.next();
  const kept = parts.move();
  return {
    ...{ checkpointId, layers },
    async take(index, bytes) {
      if (place.done === true || index !== next) throw unusable('its blocks are not in order');
      checkBlock(place.value, bytes);
      await files.write(place.value, bytes);
      next += 1;
      place = places.next();
    },
    async complete() {
      if (place.done !== true) throw unusable('it is cut off');
      await files.close();
      // Each block was checked with its digest, so nothing is read again.
      for (const [part, layerId] of layers.entries())
        await host.checkpoints.sealLayer(layerId, digestsFromRuns(manifest.parts[part] ?? { sizeBytes: 0, data: [] }));
      return draft;
    },
    [Symbol.asyncDispose]: async () => await kept.disposeAsync(),
  };
}

function checkBlock({ length, digest }: BlockPlace, bytes: Uint8Array): void {
  if (bytes.length === length && createHash('sha256').update(bytes).digest('hex') === digest) return;
  throw unusable('a block of its data is altered');
}

interface Files extends AsyncDisposable {
  make(part: number): Promise<void>;
  write(place: BlockPlace, bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** One file is open at a time. */
function createFiles({ parts }: ExportManifest, pathOf: (part: number) => string): Files {
  let current: { readonly part: number; readonly file: FileHandle } | undefined;
  const close = async (): Promise<void> => {
    await current?.file.close();
    current = undefined;
  };
  const translated = async <T>(act: () => Promise<T>): Promise<T> => {
    try {
      return await act();
    } catch (error) {
      if (error instanceof SoulBoxError) throw error;
      const where = isDiskFull(error) ? 'There is not enough room for it.' : '';
      throw errorFromNode(error, `The import could not be written. ${where}`.trim());
    }
  };
  return {
    async make(part) {
      const { kind, sizeBytes } = parts[part] ?? { kind: 'memory', sizeBytes: 0 };
      // A file of the memory grows with its blocks: what is there is encrypted and freed meanwhile.
      await translated(async () => {
        await using file = await open(pathOf(part), 'wx', 0o600);
        if (kind === 'layer') await file.truncate(sizeBytes);
      });
    },
    async write({ part, offset, length }, bytes) {
      await translated(async () => {
        if (current?.part !== part) {
          await close();
          current = { part, file: await open(pathOf(part), 'r+') };
        }
        let written = 0;
        while (written < length)
          written += (await current.file.write(bytes, written, length - written, offset + written)).bytesWritten;
      });
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
