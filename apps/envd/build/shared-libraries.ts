import { SoulBoxError } from '@soulbox/base';

/**
 * Returns the absolute paths in the output of `ldd`, including the dynamic loader. Lines have the form `libc.so.6 =>
 * /lib/x86_64-linux-gnu/libc.so.6 (0x00007f…)` or `/lib64/ld-linux-x86-64.so.2 (0x00007f…)`.
 */
export function parseLddOutput(text: string): string[] {
  const paths: string[] = [];
  for (const line of text.split('\n')) {
    if (line.includes('not found')) throw new SoulBoxError('host_not_ready', `A library is missing: ${line.trim()}`);
    const path = /(?:^|=>)\s*(\/\S+) \(0x/.exec(line)?.[1];
    if (path !== undefined) paths.push(path);
  }
  return paths;
}

/** Finds the dynamic loader in a list of file names: `ld-linux-x86-64.so.2`, `ld-linux-aarch64.so.1`. */
export function findLoader(names: readonly string[]): string {
  const loader = names.find((name) => /^ld-linux.*\.so\.\d+$/.test(name));
  if (loader === undefined) throw new SoulBoxError('host_not_ready', 'The host has no glibc loader (ld-linux).');
  return loader;
}
