import { check, libcFunction } from './libc.ts';

const mount = libcFunction<
  [source: string | null, target: string, type: string | null, flags: number, data: string | null]
>('int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)');

/** linux/mount.h */
const bind = 4096;
const recursive = 16_384;
const isPrivate = 1 << 18;
const flagBits = { readOnly: 1, noSetuid: 2, noDevices: 4, noAccessTimes: 1024 } as const;

export type MountFlag = keyof typeof flagBits;

/**
 * Makes a folder visible at a second path, in the mount namespace of this process. Needs root. Throws
 * `SystemCallError`.
 */
export function bindMount(source: string, target: string): void {
  check('mount', mount(source, target, null, bind, null));
}

/**
 * Mounts an overlay, in the mount namespace of this thread. `options`: as in fstab(5). Relative paths in them begin at the
 * current folder, and the kernel shows them like that. Throws `SystemCallError`.
 */
export function mountOverlay(
  source: string,
  target: string,
  { options, flags }: { readonly options: string; readonly flags: readonly MountFlag[] },
): void {
  const bits = flags.reduce((sum, flag) => sum | flagBits[flag], 0);
  check(`mount of an overlay on ${target}`, mount(source, target, 'overlay', bits, options));
}

/**
 * Separates the mounts of this thread's mount namespace from those of others: what is mounted in one of them does not
 * appear in the others. Throws `SystemCallError`.
 */
export function makeMountsPrivate(): void {
  check('mount', mount(null, '/', null, recursive | isPrivate, null));
}
