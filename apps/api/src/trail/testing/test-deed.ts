import type { Deed } from '../deed.ts';

/** What a key of the team `t` does. */
export const testDeed: Deed = {
  ...{ teamId: 't', action: 'sandbox.create', class: 'operation', scope: 'team', rule: 'key' },
  actor: { kind: 'key', id: 'k1' },
  target: { kind: 'sandbox', id: '' },
  source: { address: '203.0.113.7', userAgent: 'e2b-js-sdk/2.51.0' },
};
