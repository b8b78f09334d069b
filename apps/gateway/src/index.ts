export { startGateway } from './start.ts';
export type { Gateway, GatewayOptions } from './start.ts';
export { gatewayConfigSchema } from './config.ts';
export type { GatewayConfig } from './config.ts';
