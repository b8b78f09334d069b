import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeFileAtomic } from '@soulbox/base';
import { storageReportIn } from '@soulbox/vault/report';
import type { StorageReport } from '@soulbox/vault/report';
import type { UploadContext, Uploader } from './uploader.ts';

const everyMs = 1000;

/**
 * Writes the figures of the uploads to a file of the data folder, for `soulbox storage status` on this host. Disposing
 * ends the uploads.
 */
export function reportUploads(
  uploader: Uploader,
  { host: { dataDirectory, logger }, clock }: Pick<UploadContext, 'host' | 'clock'>,
): AsyncDisposable {
  const path = storageReportIn(dataDirectory);
  let written = '';
  let writing = Promise.resolve();
  const report = async (): Promise<void> => {
    const figures = uploader.figures();
    const text = JSON.stringify(figures);
    if (text === written) return;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const content: StorageReport = { ...figures, atMs: clock.now() };
    await writeFileAtomic(path, JSON.stringify(content));
    written = text;
  };
  const timer = setInterval(() => {
    writing = writing.then(report).catch((err: unknown) => {
      logger.debug({ err }, 'the figures of the uploads could not be written');
    });
  }, everyMs).unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await uploader[Symbol.asyncDispose]();
      await writing;
    },
  };
}
