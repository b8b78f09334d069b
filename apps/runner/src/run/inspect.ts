import { posix } from 'node:path';
import type { Files } from '@soulbox/envd-client';
import { detect, emptyFolder, readFiles } from '@soulbox/runtimes';
import type { Folder, Language, Sight } from '@soulbox/runtimes';

/** Bytes that are read of a file for its first line. */
const firstBytes = 512;
/** Bytes that are read of a project file. The rest is ignored. */
const manifestBytes = 256 * 1024;
/** The project of a file is searched for in this many folders above it. */
const levelsUp = 4;

export function inspectCode(code: string, language: Language | undefined): Sight {
  return { fileName: undefined, firstLine: firstLineOf(code), folder: emptyFolder, language };
}

export async function inspectProject(files: Files, path: string, language: Language | undefined): Promise<Sight> {
  return { fileName: undefined, firstLine: '', folder: await inspectFolder(files, path), language };
}

/** Reads the folders above only if they matter: for a file that several runtimes could run. */
export async function inspectFile(files: Files, path: string, language: Language | undefined): Promise<Sight> {
  const start = await files.read(path, firstBytes);
  const alone: Sight = {
    fileName: posix.basename(path),
    firstLine: firstLineOf(start.toString('utf8')),
    folder: emptyFolder,
    language,
  };
  const [first, second] = detect(alone);
  if (first === undefined || second === undefined || first.sureness > second.sureness) return alone;
  return { ...alone, folder: await findProject(files, posix.dirname(path)) };
}

async function findProject(files: Files, start: string): Promise<Folder> {
  let path = start;
  for (let level = 0; level <= levelsUp; level++) {
    // A folder of another user cannot be read, and does not matter.
    const names = await files.list(path).catch(() => []);
    if (names.some((name) => name === 'package.json' || /^deno\.(jsonc?|lock)$|^bun(fig\.toml|\.lockb?)$/.test(name)))
      return await readManifests(files, path, names);
    if (path === '/') break;
    path = posix.dirname(path);
  }
  return emptyFolder;
}

export async function inspectFolder(files: Files, path: string): Promise<Folder> {
  return await readManifests(files, path, await files.list(path));
}

async function readManifests(files: Files, path: string, names: readonly string[]): Promise<Folder> {
  const wanted = readFiles.filter((name) => names.includes(name));
  const texts = await Promise.all(
    wanted.map(async (name) => {
      // A manifest that is a folder or a pipe has no text, but exists.
      const bytes = await files.read(posix.join(path, name), manifestBytes).catch(() => undefined);
      return bytes === undefined ? [] : [[name, bytes.toString('utf8')] as const];
    }),
  );
  return { names: new Set(names), texts: new Map(texts.flat()) };
}

function firstLineOf(text: string): string {
  return /^[^\r\n]*/.exec(text.slice(0, firstBytes))?.[0] ?? '';
}
