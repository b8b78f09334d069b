import { readFileSync } from 'node:fs';

/** Differs after each boot of the host. */
export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}
