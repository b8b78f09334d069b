import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, posix, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { UsageError } from '../../command-line/usage-error.ts';

/** The target of a run, as it is on this machine. */
export type Target =
  | { readonly kind: 'code'; readonly code: string; readonly isFromInput: boolean }
  | { readonly kind: 'file'; readonly path: string; readonly name: string; readonly firstLine: string }
  | {
      readonly kind: 'folder';
      readonly path: string;
      /** Relative paths with slashes. */
      readonly files: readonly string[];
      readonly entry: string | undefined;
    };

/** Version history, files that an installation recreates, and files that this program leaves in sandboxes. */
const ignored = new Set(['.git', 'node_modules', '.venv', '__pycache__', '.soulbox']);
const maxFiles = 5000;
/** Limit of all files together. */
const maxBytes = 256 * 1024 * 1024;

/** Throws UsageError for a target that cannot be run. */
export async function readTarget(target: string, { entry }: { readonly entry: string | undefined }): Promise<Target> {
  if (entry !== undefined && target === '-') throw new UsageError('--entry requires a folder.');
  if (target === '-') return { kind: 'code', code: await text(process.stdin), isFromInput: true };
  const path = resolve(target);
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new UsageError(`${JSON.stringify(target)} does not exist.`);
  if (found.isDirectory()) return { kind: 'folder', path, files: await listFiles(path), entry };
  if (!found.isFile()) throw new UsageError(`${JSON.stringify(target)} is neither a file nor a folder.`);
  if (entry !== undefined) throw new UsageError('--entry requires a folder.');
  if (found.size > maxBytes) throw new UsageError(`${JSON.stringify(target)} is larger than ${maxBytes} bytes.`);
  const [firstLine = ''] = (await readFile(path, 'latin1')).slice(0, 512).split(/\r?\n/);
  return { kind: 'file', path, name: basename(path), firstLine };
}

/** Only regular files: a link could lead out of the folder. */
async function listFiles(root: string): Promise<string[]> {
  const files: string[] = [];
  let bytes = 0;
  const walk = async (below: string): Promise<void> => {
    for (const item of await readdir(join(root, below), { withFileTypes: true })) {
      if (ignored.has(item.name)) continue;
      const path = posix.join(below, item.name);
      if (item.isDirectory()) await walk(path);
      if (!item.isFile()) continue;
      files.push(path);
      bytes += (await stat(join(root, path))).size;
      if (files.length > maxFiles) throw new UsageError(`${root} has more than ${maxFiles} files.`);
      if (bytes > maxBytes) throw new UsageError(`The files of ${root} exceed ${maxBytes} bytes.`);
    }
  };
  await walk('');
  return files;
}
