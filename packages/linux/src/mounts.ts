import { check, libcFunction } from './libc.ts';

const mount = libcFunction<[source: string, target: string, type: null, flags: number, data: null]>(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)',
);

/** linux/mount.h */
const bind = 4096;

/**
 * Makes a folder visible at a second path, in the mount namespace of this process. Needs root. Throws
 * `SystemCallError`.
 */
export function bindMount(source: string, target: string): void {
  check('mount', mount(source, target, null, bind, null));
}
