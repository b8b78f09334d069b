import { expect, test } from 'vitest';
import { findLoader, parseLddOutput } from './shared-libraries.ts';

const output = `\tlinux-vdso.so.1 (0x00007fd8ce1b2000)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007fd8cdfac000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007fd8ce1b4000)
`;

test('ldd output is parsed to the libraries and the loader, without the vdso', () => {
  expect(parseLddOutput(output)).toEqual(['/lib/x86_64-linux-gnu/libc.so.6', '/lib64/ld-linux-x86-64.so.2']);
});

test('a missing library is an error', () => {
  expect(() => parseLddOutput('\tlibx.so.1 => not found\n')).toThrow(/libx/);
});

test('the loader is found on both architectures', () => {
  expect(findLoader(['libc.so.6', 'ld-linux-aarch64.so.1'])).toBe('ld-linux-aarch64.so.1');
  expect(findLoader(['envd', 'ld-linux-x86-64.so.2'])).toBe('ld-linux-x86-64.so.2');
});

test('a host without glibc is an error', () => {
  expect(() => findLoader(['ld-musl-x86_64.so.1'])).toThrow(/glibc/);
});
