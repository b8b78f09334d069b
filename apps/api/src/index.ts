export { startApi } from './start.ts';
export type { Api, ApiOptions, ListenOn } from './start.ts';
export { apiConfigSchema } from './config.ts';
export type { ApiConfig } from './config.ts';
export type { AuditParts, ReadObjectCache, StageBackup } from './context.ts';
export { placeOfWebhookSecret } from './webhooks/schemas.ts';
export { connectBucketService } from './bucket-service/connect.ts';
export { connectVolumeService } from './volume-service/connect.ts';
export { loadAll } from './load-all.ts';
