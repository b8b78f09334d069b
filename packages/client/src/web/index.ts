export { createWebTransport } from './transport.ts';
export type { WebTransportOptions } from './transport.ts';
