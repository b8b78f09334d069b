export type { BucketProcessSettings } from './run-buckets.ts';
