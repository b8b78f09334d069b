// Every kernel object and folder outside the data folder is found by its name, which instance number and sandbox id make.
import { join } from 'node:path';

/** What marks an object of the host as belonging to a sandbox of a server. */
export function traceName(instance: number, sandboxId: string): string {
  return `${tracePrefix(instance)}${sandboxId}`;
}

export function tracePrefix(instance: number): string {
  return `soulbox-${instance}-`;
}

/** Parent of the mount points of all roots: everyone may pass, nobody may list, and each belongs to its sandbox's root. */
export function rootsFolder(instance: number): string {
  return join(runFolder(instance), 'roots');
}

export function runFolder(instance: number): string {
  return `/run/soulbox-${instance}`;
}

export function cgroupParent(instance: number): string {
  return `/soulbox-${instance}`;
}

/** Parent of the groups of host programs. Beside the parent of the sandboxes' groups, whose limits are not theirs. */
export function toolGroupParent(instance: number): string {
  return `${cgroupParent(instance)}-tools`;
}

export function toolGroupOf(instance: number, sandboxId: string): string {
  return `${toolGroupParent(instance)}/${sandboxId}`;
}

export function cgroupOf(instance: number, sandboxId: string): string {
  return `${cgroupParent(instance)}/${sandboxId}`;
}
