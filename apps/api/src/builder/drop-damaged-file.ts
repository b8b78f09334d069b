import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Logger } from '@soulbox/base';
import type { RunBuildRequestSchema } from '@soulbox/contract/runner';
import type { BlobStore, Records } from '@soulbox/storage';

interface Parts {
  readonly records: Pick<Records, 'buildFiles'>;
  readonly files: Pick<BlobStore, 'delete'>;
  readonly logger: Logger;
}

interface Job {
  readonly buildId: string;
  readonly request: MessageInitShape<typeof RunBuildRequestSchema>;
}

/**
 * Forgets the archive of a COPY step that the runner could not decrypt: clients skip files that are present, so every
 * build would fail with it. One that was used or uploaded again since `startedAt` stays; it may be another one.
 */
export async function dropDamagedFile(
  { records, files, logger }: Parts,
  { buildId, request }: Job,
  { step, startedAt }: { /** Its number in the build. */ readonly step: string; readonly startedAt: number },
): Promise<void> {
  const { filesBlobKey = '', filesHash = '' } = request.steps?.[Number(step) - 1] ?? {};
  const { teamId = '' } = request;
  if (filesBlobKey === '') return;
  logger.error({ buildId, team: teamId, hash: filesHash }, 'build file is damaged and must be uploaded again');
  // The row is removed first, so that later builds ask for a new upload.
  if (await records.buildFiles.remove(teamId, filesHash, startedAt + 1)) await files.delete(filesBlobKey);
}
