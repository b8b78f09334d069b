export { startGateway } from './start.ts';
export type { Gateway, GatewayOptions } from './start.ts';
export type { GatewaySettings } from './run-gateway.ts';
export type { Certificate } from './tls/certificate.ts';
export { gatewayConfigSchema } from './config.ts';
export type { GatewayConfig } from './config.ts';
