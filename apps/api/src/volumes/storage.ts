import { errorFromUnknown } from '@soulbox/base';
import type { ApiContext } from '../context.ts';
import type { VolumeStorage } from '../volume-service/volume-service.ts';

/** The service answers within this time, or is not there. Milliseconds. */
const answerMs = 5000;

const none: Omit<VolumeStorage, 'state' | 'reason'> = {
  ...{ wanted: 0, uploaded: 0, uploads: 0, uploadedBytes: 0, failures: 0 },
  behind: [],
};

/** What the object store has of the volumes. A service that does not answer uploads nothing. */
export async function volumeStorageOf({ volumes }: Pick<ApiContext, 'volumes'>): Promise<VolumeStorage> {
  try {
    const figures = await volumes?.storage(AbortSignal.timeout(answerMs));
    return figures ?? { state: 'idle', reason: '', ...none };
  } catch (thrown) {
    return { state: 'away', reason: errorFromUnknown(thrown).message, ...none };
  }
}
