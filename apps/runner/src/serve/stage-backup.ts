import type { MessageInitShape } from '@bufbuild/protobuf';
import { SoulBoxError } from '@soulbox/base';
import type { StagedSchema } from '@soulbox/contract/runner';
import { findStageOwner, stageIn } from '../backup/stage-folder.ts';
import { stageSandboxes } from '../backup/stage-sandboxes.ts';
import { stageSnapshots } from '../backup/stage-snapshots.ts';
import type { Report } from '../backup/staged.ts';
import { streamOf } from '../run/event-stream.ts';
import type { ServeContext } from './serve-context.ts';

type StagedMessage = { staged: MessageInitShape<typeof StagedSchema> };

/**
 * Stages all sandboxes or snapshots for the backup in progress on this host. Throws `illegal_transition` without one.
 */
export async function* streamStaging(
  context: ServeContext,
  what: 'sandboxes' | 'snapshots',
  signal: AbortSignal,
): AsyncGenerator<StagedMessage> {
  const { dataDirectory } = context.host;
  // The caller cannot choose the folder.
  const stage = stageIn(dataDirectory);
  if ((await findStageOwner(dataDirectory)) === undefined)
    throw new SoulBoxError('illegal_transition', 'Only "soulbox backup create" on the host can make a backup.');
  yield* streamOf<StagedMessage>(
    async (emit, left) => {
      const report: Report = ({ id, leftOut = '' }) => void emit({ staged: { id, leftOut } });
      await (what === 'sandboxes'
        ? stageSandboxes(context, stage, report, left)
        : stageSnapshots(context, stage, report));
    },
    AbortSignal.any([signal, context.stopping]),
  );
}
