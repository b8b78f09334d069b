import type { Logger } from '@soulbox/base';
import type { StateStore } from '@soulbox/states';
import type { SnapshotStore } from './copies/snapshot-store.ts';
import type { RecordStore } from './record.ts';

type Removing = Pick<StateStore, 'collect' | 'remove' | 'setAside'>;

/** While the record of a sandbox or a snapshot cannot be read, nobody knows which states and layers it names: none is removed. */
export function keepAllWhileUnreadable(
  states: Removing,
  records: Pick<RecordStore, 'hasSetAside'>,
  snapshots: Pick<SnapshotStore, 'hasUnreadable'>,
  logger: Logger,
): Removing {
  const keepsAll = async (): Promise<boolean> => {
    if (!snapshots.hasUnreadable() && !(await records.hasSetAside())) return false;
    logger.warn({}, 'no state is removed while a record cannot be read ("soulbox doctor" says which)');
    return true;
  };
  return {
    async collect(findNeeded) {
      return (await keepsAll()) ? { removedStates: [], removedLayers: [] } : await states.collect(findNeeded);
    },
    async remove(stateId) {
      if (!(await keepsAll())) await states.remove(stateId);
    },
    setAside: async (...args) => await states.setAside(...args),
  };
}
