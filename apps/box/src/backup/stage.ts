import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import type { Report, Runner } from '@soulbox/runner';
import { backupSqliteRecords } from '@soulbox/storage';
import type { HoldableBlobs } from '@soulbox/storage';
import { findStageOwner, stageIn } from './stage-folder.ts';

export interface StageParts {
  readonly dataDirectory: string;
  readonly runner: Runner;
  readonly functionBlobs: HoldableBlobs;
  readonly uploads: HoldableBlobs;
}

/** Saving a thousand sandboxes takes some minutes. */
const timeoutMs = 30 * 60_000;

/**
 * Fills the stage that `soulbox backup create` has made in the data folder: what this server has at one moment, in the form of a data
 * folder. The records come after the sandboxes and before the snapshots, so that each sandbox of the stage has a row. What
 * changes in between the comparison of records and runner sets right when a server starts on it (decision 028).
 */
export function createStage(parts: StageParts) {
  let isBusy = false;
  return async (report: Report, left: AbortSignal): Promise<void> => {
    const { dataDirectory, runner, functionBlobs, uploads } = parts;
    if (isBusy) throw new SoulBoxError('illegal_transition', 'A backup is under way already.');
    if ((await findStageOwner(dataDirectory)) === undefined)
      throw new SoulBoxError('illegal_transition', 'Backups are made by "soulbox backup create" on the host.');
    isBusy = true;
    try {
      const stage = stageIn(dataDirectory);
      await runner.stageSandboxes(stage, report, AbortSignal.any([left, AbortSignal.timeout(timeoutMs)]));
      await using _values = functionBlobs.holdDeletes();
      await using _uploads = uploads.holdDeletes();
      await backupSqliteRecords(join(dataDirectory, 'records.sqlite'), join(stage, 'records.sqlite'));
      await runner.stageSnapshots(stage, report);
      await functionBlobs.copyInto(join(stage, 'functions'), '');
      await uploads.copyInto(join(stage, 'uploads'), '');
    } finally {
      isBusy = false;
    }
  };
}
