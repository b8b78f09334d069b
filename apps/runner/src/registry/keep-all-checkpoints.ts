import type { Logger } from '@soulbox/base';
import type { CheckpointStore } from '@soulbox/checkpoints';

type Removing = Pick<CheckpointStore, 'collect' | 'remove' | 'setAside'>;

/** Removes no checkpoint and no layer while an unreadable record is set aside, because it may name any of them. */
export function keepAllWhileUnreadable(
  checkpoints: Removing,
  stores: readonly { hasSetAside(): Promise<boolean> }[],
  logger: Logger,
): Removing {
  const keepsAll = async (): Promise<boolean> => {
    const aside = await Promise.all(stores.map(async (store) => await store.hasSetAside()));
    if (!aside.includes(true)) return false;
    logger.warn({}, 'no checkpoint is removed while a record is unreadable ("soulbox doctor" names it)');
    return true;
  };
  return {
    async collect(findNeeded) {
      return (await keepsAll()) ? { removedCheckpoints: [], removedLayers: [] } : await checkpoints.collect(findNeeded);
    },
    async remove(checkpointId) {
      if (!(await keepsAll())) await checkpoints.remove(checkpointId);
    },
    setAside: async (...args) => await checkpoints.setAside(...args),
  };
}
