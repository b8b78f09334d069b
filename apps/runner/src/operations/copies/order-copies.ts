import { SoulBoxError } from '@soulbox/base';
import type { Cause } from '@soulbox/contract';
import type { OperationContext } from '../operation-context.ts';
import { findTemplate } from '../../processes/find-template.ts';
import type { CheckedMemory } from '../../processes/check-memory.ts';
import type { CopySource } from '../../registry/snapshot-store.ts';
import type { SourceAtHand } from './source-at-hand.ts';

/** Copies of one source that are made together, so that it is checked once for all of them. */
export interface CopyOrder {
  readonly source: CopySource;
  /** Undefined: the source has none, and copies start fresh on its files. */
  readonly memory: CheckedMemory | undefined;
  readonly rootfs: string;
  readonly cause: Cause;
}

/**
 * Finds everything that copies of the source need. Throws `state_damaged`, `state_incompatible`, `template_not_found`.
 */
export async function orderCopies(
  context: OperationContext,
  atHand: SourceAtHand,
  cause: Cause,
  copyCount = 1,
): Promise<CopyOrder> {
  const { source } = atHand;
  const template = await findTemplate(context, source.templateId);
  if (template === undefined) {
    throw new SoulBoxError(
      'template_not_found',
      `Template "${source.templateId}" of the source is no longer on this host.`,
    );
  }
  const memory = await atHand.getMemory(copyCount);
  if (memory?.whole !== undefined) noteFirstBlocks(context, source, memory);
  return { source, cause, rootfs: template.rootfs, memory };
}

/** The next start on another host need not wait for what this one waits for. */
function noteFirstBlocks({ snapshots, host }: OperationContext, source: CopySource, memory: CheckedMemory): void {
  const snapshotId = 'snapshotId' in source ? String(source.snapshotId) : '';
  if (snapshotId === '' || source.firstBlocks !== undefined) return;
  const note = async (): Promise<void> => {
    const blocks = memory.asked?.() ?? [];
    if (blocks.length > 0) await snapshots.noteFirstBlocks(snapshotId, blocks);
  };
  // It ends when the server stops.
  memory.whole
    ?.then(note, () => undefined)
    .catch((err: unknown) => {
      host.logger.warn({ snapshotId, err }, 'the first blocks of a start could not be noted');
    });
}
