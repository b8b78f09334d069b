export { startApi } from './start.ts';
export type { Api, ApiOptions, ListenOn } from './start.ts';
export { apiConfigSchema } from './config.ts';
export type { ApiConfig } from './config.ts';
