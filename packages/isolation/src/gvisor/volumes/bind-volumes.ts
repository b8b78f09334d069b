// Shows folders of the sandbox at other paths, which it makes if they are missing. Its argument is a `BindOrder`, as JSON.
//
// Runs in the sandbox, as a text that Bun gets from the host, with the right to mount in gVisor's kernel. That kernel is
// the sandbox's own: what a program inside does to paths meanwhile harms only itself. At a failure it writes the number of
// the path, from 0 on, and the reason.
//
// Nothing of the sandbox's root must be loaded as code here, so it imports only what Bun has built in.
import { mkdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import type { BindOrder } from './attach-volumes.ts';

/** The part of Bun that is used. Its own types are not those of this package. */
interface Bun {
  readonly FFI: {
    dlopen(
      library: string,
      functions: object,
    ): { readonly symbols: { mount(...args: unknown[]): number; __errno_location(): unknown } };
    ptr(bytes: Uint8Array): unknown;
    readonly read: { i32(address: unknown, offset: number): number };
  };
}

const { FFI } = (globalThis as unknown as { readonly Bun: Bun }).Bun;
/** linux/mount.h */
const bind = 4096n;
const foreign = 'it leads to a folder of the system or into another mount';

const withoutPlaces = 'the memory of the sandbox was saved by an earlier version of the server';

class Refusal extends Error {}

const { taken: system, volumes } = JSON.parse(process.argv.at(-1) ?? '') as BindOrder;
const taken = [...system, ...mountPoints()];

process.umask(0);
const { symbols } = FFI.dlopen('libc.so.6', {
  mount: { args: ['ptr', 'ptr', 'ptr', 'u64', 'ptr'], returns: 'i32' },
  __errno_location: { args: [], returns: 'ptr' },
});
for (const [number, { place, path }] of volumes.entries()) {
  try {
    taken.push(bindTo(place, path));
  } catch (error) {
    process.stderr.write(`${number} ${reasonOf(error)}\n`);
    process.exitCode = 1;
    break;
  }
}

/** Returns the place of the mount, without links. */
function bindTo(place: string, path: string): string {
  if (!mountPoints().includes(dirname(place))) throw new Refusal(withoutPlaces);
  makeFolders(path);
  const target = realpathSync(path);
  if (taken.some((one) => isAtOrBelow(target, one) || isAtOrBelow(one, target))) throw new Refusal(foreign);
  const [from, to] = [Buffer.from(`${place}\0`), Buffer.from(`${target}\0`)];
  if (symbols.mount(FFI.ptr(from), FFI.ptr(to), null, bind, null) === 0) return target;
  throw new Refusal(textOf(FFI.read.i32(symbols.__errno_location(), 0)));
}

function makeFolders(path: string): void {
  let above = '/';
  for (const name of path.slice(1).split('/')) {
    const folder = above === '/' ? `/${name}` : `${above}/${name}`;
    const found = statSync(folder, { throwIfNoEntry: false });
    if (found === undefined) makeFolder(above, folder);
    else if (!found.isDirectory()) throw new Refusal('Not a directory');
    above = folder;
  }
}

function makeFolder(above: string, folder: string): void {
  const parent = realpathSync(above);
  if (taken.some((one) => isAtOrBelow(parent, one))) throw new Refusal(foreign);
  mkdirSync(folder, { mode: 0o755 });
}

/** The places of all mounts besides the root. */
function mountPoints(): string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const points = lines.map((line) => line.split(' ')[4] ?? '/');
  return points.filter((point) => point !== '/').map(unescape8);
}

function unescape8(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function isAtOrBelow(place: string, folder: string): boolean {
  return folder === '/' || `${place}/`.startsWith(`${folder}/`);
}

function reasonOf(error: unknown): string {
  if (error instanceof Refusal) return error.message;
  const { errno } = error as { errno?: number };
  return errno === undefined ? String(error) : textOf(Math.abs(errno));
}

function textOf(errno: number): string {
  const [, text] = getSystemErrorMap().get(-errno) ?? [];
  return text ?? `error ${errno}`;
}
