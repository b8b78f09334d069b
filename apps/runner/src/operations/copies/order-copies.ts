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
  return { source, cause, rootfs: template.rootfs, memory: await atHand.getMemory(copyCount) };
}
