export { egressProgram, startHostEgress } from './run-egress.ts';
export type { EgressProcessSettings, EgressSettings } from './run-egress.ts';
export { startEgress } from './start.ts';
export type { Egress, EgressOptions } from './start.ts';
