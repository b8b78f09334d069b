import { SoulBoxError } from '@soulbox/base';
import type { Cause } from '@soulbox/contract';
import type { SavedMemory } from '@soulbox/isolation';
import type { OperationContext } from '../operation.ts';
import { checkLayers, checkMemory, memoryOf } from '../sleep/check-state.ts';
import type { CopySource } from './snapshot-store.ts';

/** Copies of one source that are made together: it is checked once for all of them. */
export interface CopyOrder {
  readonly source: CopySource;
  /** Undefined: the source has none, and copies start afresh on its files. */
  readonly memory: SavedMemory | undefined;
  readonly rootfs: string;
  readonly cause: Cause;
}

/**
 * Finds and checks all that copies of the source need. What this server wrote a moment ago (`isFresh`) is not read again.
 * Throws `state_damaged`, `state_incompatible`, `template_not_found`.
 */
export async function orderCopies(
  context: OperationContext,
  source: CopySource,
  cause: Cause,
  isFresh: boolean,
): Promise<CopyOrder> {
  const template = await context.templates.find(source.templateId);
  if (template === undefined) {
    throw new SoulBoxError('template_not_found', `Template ${source.templateId} of the source is gone from this host.`);
  }
  return { source, cause, rootfs: template.rootfs, memory: await findMemory(context, source, isFresh) };
}

async function findMemory(
  { host }: OperationContext,
  source: CopySource,
  isFresh: boolean,
): Promise<SavedMemory | undefined> {
  if (source.hasMemory && isFresh)
    return memoryOf(host, source.driver, await host.states.open(source.stateId), 'copies');
  if (source.hasMemory) return await checkMemory(host, source, 'copies');
  if (!isFresh) await checkLayers(host, source.layers);
  return undefined;
}
