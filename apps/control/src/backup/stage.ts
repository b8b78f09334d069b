import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import type { StageBackup } from '@soulbox/api';
import { errorFromConnect } from '@soulbox/contract/connect-errors';
import type { RunnerService, Staged } from '@soulbox/contract/runner';
import type { Logger } from '@soulbox/base';
import { listCopiedVolumes, recordsFileName } from '@soulbox/storage';
import type { HoldableBlobs } from '@soulbox/storage';
import { createStagedVolumes } from './stage-volumes.ts';
import type { VolumeStaging } from './volume-staging.ts';

export interface StageParts {
  /** Copies the records to a file. */
  readonly copyRecords: (file: string) => Promise<void>;
  /**
   * The folder in which the control plane collects its part of the stage. The process that makes the backup takes it
   * from there.
   */
  readonly directory: string;
  readonly runner: Client<typeof RunnerService>;
  readonly functionBlobs: HoldableBlobs;
  readonly uploads: HoldableBlobs;
  readonly volumes: VolumeStaging;
  /** Whether any volume was ever used. */
  readonly hasVolumes: () => Promise<boolean>;
  readonly logger: Logger;
}

/** Saving a thousand sandboxes takes some minutes. Volumes have limits of their own. */
const timeoutMs = 30 * 60_000;

/**
 * Fills the stage that `soulbox backup create` has made in the data folder: the state of this server at one moment, in
 * the form of a data folder. The records are copied after the sandboxes and before the snapshots, so that each sandbox
 * of the stage has a row. Changes in between are corrected when a server starts on the stage and compares records and
 * runner (decision 028). The volume service collects volumes in a folder of its own: those that running sandboxes write
 * to as they are with the memory, the others last (decision 076).
 */
export function createStage(parts: StageParts): StageBackup {
  let isBusy = false;
  return async (report, left) => {
    const { directory } = parts;
    if (isBusy) throw new SoulBoxError('illegal_transition', 'A backup is already running.');
    isBusy = true;
    const volumes = createStagedVolumes({ ...parts, staging: parts.volumes });
    try {
      // Not `removeTree`, because this process may not start programs. It owns the folder and all folders above it.
      await rm(directory, { recursive: true, force: true });
      await mkdir(directory, { mode: 0o700 });
      const signal = AbortSignal.any([left, AbortSignal.timeout(timeoutMs)]);
      await volumes.begin(signal);
      await stageRest(parts, report, signal);
      await volumes.finish(listCopiedVolumes(join(directory, recordsFileName)), report, left);
    } catch (thrown) {
      await volumes.giveUp();
      throw thrown;
    } finally {
      isBusy = false;
    }
  };
}

/** Everything but volumes. */
async function stageRest(parts: StageParts, report: Parameters<StageBackup>[0], signal: AbortSignal): Promise<void> {
  const { copyRecords, directory, runner, functionBlobs, uploads } = parts;
  await follow('sandbox', runner.stageSandboxes({}, { signal }), report, signal);
  await using _values = functionBlobs.holdDeletes();
  await using _uploads = uploads.holdDeletes();
  await copyRecords(join(directory, recordsFileName));
  await follow('snapshot', runner.stageSnapshots({}, { signal }), report, signal);
  await functionBlobs.copyInto(join(directory, 'functions'), '');
  await uploads.copyInto(join(directory, 'uploads'), '');
}

async function follow(
  what: 'sandbox' | 'snapshot',
  stream: AsyncIterable<{ readonly staged?: Staged | undefined }>,
  report: Parameters<StageBackup>[0],
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const { staged } of stream)
      if (staged !== undefined)
        report({ what, id: staged.id, ...(staged.leftOut === '' ? {} : { leftOut: staged.leftOut }) });
  } catch (thrown) {
    signal.throwIfAborted();
    throw errorFromConnect(thrown);
  }
}
