export { runChecks } from './run-checks.ts';
export { chooseFix, prepareHost } from './prepare-host.ts';
export type { PrepareOptions } from './prepare-host.ts';
export { readSystemFamily } from './system.ts';
export type { SystemFamily } from './system.ts';
export { protection } from './protection.ts';
export type { Protection } from './protection.ts';
export type { Finding, Fix, HostSubject } from './finding.ts';
