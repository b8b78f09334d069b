// Every kernel object and folder outside the data folder is found by its name, which consists of instance number and
// sandbox id.
import { join } from 'node:path';

/** Marks an object of the host as belonging to a sandbox of a server. */
export function traceName(instance: number, sandboxId: string): string {
  return `${tracePrefix(instance)}${sandboxId}`;
}

export function tracePrefix(instance: number): string {
  return `soulbox-${instance}-`;
}

/**
 * Parent of the mount points of all roots: every user may traverse it, none may list it, and each mount point belongs
 * to its sandbox's root user.
 */
export function rootsFolder(instance: number): string {
  return join(runFolder(instance), 'roots');
}

export function runFolder(instance: number): string {
  return `/run/soulbox-${instance}`;
}

/** Mount point of the file system in memory for saved memory that is not encrypted. Only root may enter it. */
export function clearFolder(instance: number): string {
  return join(runFolder(instance), 'clear');
}

export function cgroupParent(instance: number): string {
  return `/soulbox-${instance}`;
}

/**
 * Parent of the groups of host programs. It is beside the parent of the sandboxes' groups, so that their limits do not
 * apply.
 */
export function toolGroupParent(instance: number): string {
  return `${cgroupParent(instance)}-tools`;
}

export function toolGroupOf(instance: number, sandboxId: string): string {
  return `${toolGroupParent(instance)}/${sandboxId}`;
}

export function cgroupOf(instance: number, sandboxId: string): string {
  return `${cgroupParent(instance)}/${sandboxId}`;
}
