import type { BucketService } from '../bucket-service/bucket-service.ts';

/** A bucket service without stores: each bucket can be listed. */
export interface ScriptedBuckets extends BucketService {
  /** `TEAM BUCKET` of every check so far. */
  readonly checks: string[];
  /** Thrown by the next checks; undefined: they succeed. */
  failure: Error | undefined;
  /** The next checks wait for it. */
  hold: Promise<unknown> | undefined;
}

export function createScriptedBuckets(): ScriptedBuckets {
  const checks: string[] = [];
  const scripted: ScriptedBuckets = {
    ...{ checks, failure: undefined, hold: undefined },
    async check({ teamId, bucketId }) {
      checks.push(`${teamId} ${bucketId}`);
      await scripted.hold;
      if (scripted.failure !== undefined) throw scripted.failure;
    },
  };
  return scripted;
}
