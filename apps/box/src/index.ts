export { startBox } from './start.ts';
export type { Box } from './start.ts';
export { boxConfigSchema, loadBoxConfig } from './config.ts';
export type { BoxConfig, BoxOverrides } from './config.ts';
export { findServer } from './server-file.ts';
export type { ServerFile } from './server-file.ts';
export { readDefaultApiKey } from './credentials.ts';
export { findTemplatesInUse } from '@soulbox/runner';
