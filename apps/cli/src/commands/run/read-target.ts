import { readFile, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { listProject, LocalFilesError, maxProjectBytes } from '@soulbox/local-files';
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
  if (found.size > maxProjectBytes)
    throw new UsageError(`${JSON.stringify(target)} is larger than ${maxProjectBytes} bytes.`);
  const [firstLine = ''] = (await readFile(path, 'latin1')).slice(0, 512).split(/\r?\n/);
  return { kind: 'file', path, name: basename(path), firstLine };
}

async function listFiles(root: string): Promise<string[]> {
  return await listProject(root).catch((error: unknown) => {
    throw error instanceof LocalFilesError ? new UsageError(error.message) : error;
  });
}
