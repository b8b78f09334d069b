export { hasNginx, startNginx } from './nginx.ts';
export { startRelay } from './relay.ts';
export type { Relay } from './relay.ts';
export { findFreePort, hasValkey, startValkey } from './valkey.ts';
export type { TestValkey } from './valkey.ts';
