export { blockListOf, isIn, isNetwork } from './block-list.ts';
export { ForbiddenAddressError, guardedLookup } from './guarded-lookup.ts';
export { openLocalAddresses } from './local-addresses.ts';
export { createOutsidePolicy } from './outside-policy.ts';
export type { OutsidePolicy } from './outside-policy.ts';
export { createOutsideProxy, refusalWords } from './outside-proxy.ts';
export { createReach } from './reach.ts';
export type { Reach } from './reach.ts';
