export { loadCache, openCache } from './open-cache.ts';
export type { CacheParts, OpenCache } from './open-cache.ts';
export type { ArrivingValue } from './arrival.ts';
export type { CacheFigures } from './create-cache.ts';
export { createAccessOrder } from './access-order.ts';
export type { AccessOrder, AccessOrderOptions } from './access-order.ts';
