export { migrateBefore } from './migrate-before.ts';
export { newRecordsFile } from './new-records-file.ts';
export { hasMoto, startMoto } from './moto-server.ts';
export { startFaultProxy } from './fault-proxy.ts';
export type { FaultProxy } from './fault-proxy.ts';
export { amendConditions } from './s3-conditions.ts';
