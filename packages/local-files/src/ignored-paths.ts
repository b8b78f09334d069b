import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import ignore from 'ignore';
import { LocalFilesError } from './local-files-error.ts';

const maxRulesBytes = 1024 * 1024;

/**
 * Whether a path of a folder is left out of builds, by the patterns of its `.dockerignore` and further ones. As there,
 * a pattern begins at the folder, `**` stands for any number of folders, and `!` takes a path back.
 */
export async function readIgnoredPaths(root: string, further: readonly string[]): Promise<(path: string) => boolean> {
  const lines = [...(await readRules(join(root, '.dockerignore'))).split(/\r?\n/), ...further];
  const rules = ignore.default().add(lines.flatMap(fromDocker));
  return (path) => ignore.default.isPathValid(path) && rules.ignores(path);
}

async function readRules(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  if (text.length <= maxRulesBytes) return text;
  throw new LocalFilesError(`${file} is larger than ${maxRulesBytes} bytes.`);
}

/** A pattern of Docker in the form of Git's, which need not begin at the folder. */
function fromDocker(line: string): readonly string[] {
  const text = line.trim();
  if (text === '' || text.startsWith('#')) return [];
  const [sign, pattern] = text.startsWith('!') ? ['!', text.slice(1).trim()] : ['', text];
  const path = pattern.replace(/^(\.?\/)+/, '').replace(/\/+$/, '');
  return path === '' ? [] : [`${sign}/${path}`];
}
