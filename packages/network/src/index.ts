export { findNameServerFault, hasNetwork, openNetwork, removeNetwork } from './network.ts';
export type { Network, NetworkOptions, PolicySink } from './network.ts';
export { createAddressPlan, egressPorts } from './address-plan.ts';
export type { NetworkCounters } from './device-counters.ts';
export { parseEgressPolicy } from './policy.ts';
export type { EgressPolicy, ParsedPolicy } from './policy.ts';
export { openClosedNamespace } from './closed-namespace.ts';
export { openNamespace } from './dial.ts';
export type { Namespace } from './dial.ts';
