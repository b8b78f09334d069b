import type { ApiContext } from '../context.ts';
import { listInRunner } from '../lookup/in-runner.ts';
import { callRunner } from '../runner/call.ts';
import { giveUpCopy } from './give-up-copy.ts';

/**
 * Decides about copies of volumes whose request has ended without an outcome, by a kill of this process or a lost answer. A
 * copy that a sandbox or snapshot of the runner has is complete, because the runner announces neither before. Any other is
 * removed: the runner announces nothing with copies of volumes after its caller is gone. Never throws.
 */
export async function settleOwnVolumes(context: ApiContext): Promise<void> {
  const { records, volumeCopiesUnderway: underway, logger } = context;
  try {
    const pending = (await records.volumes.listCopying()).filter(({ id }) => !underway.has(id));
    if (pending.length === 0) return;
    const mounted = await listMounted(context);
    for (const copy of pending) {
      if (mounted.has(copy.id)) await records.volumes.finishCopy(copy.id);
      else await giveUpCopy(context, copy);
      logger.warn({ volumeId: copy.id, kept: mounted.has(copy.id) }, 'copy of a volume without an outcome settled');
    }
  } catch (thrown) {
    logger.warn({ err: thrown }, 'copies of volumes could not be compared with the sandboxes of the runner');
  }
}

/** The volumes of all sandboxes and snapshots of the runner. */
async function listMounted(context: ApiContext): Promise<ReadonlySet<string>> {
  const mounted = new Set<string>();
  for await (const { volumes } of listInRunner(context)) for (const { volumeId } of volumes) mounted.add(volumeId);
  const { snapshots } = await callRunner((options) => context.runner.listSnapshots({}, options));
  for (const { volumes } of snapshots) for (const { volumeId } of volumes) mounted.add(volumeId);
  return mounted;
}
