import { isNodeError } from '@soulbox/base';
import type { ReadText } from '@soulbox/linux/held-files';
import { readOnce } from '@soulbox/linux/held-files';

/** Reads a `name value` file such as memory.stat and returns the values of `names`, 0 for a missing one. */
export function readFlatKeyed<N extends string>(
  path: string,
  names: readonly N[],
  read: ReadText = readOnce,
): Record<N, number> {
  const text = `\n${read(path)}`;
  const values = {} as Record<N, number>;
  for (const name of names) {
    const at = text.indexOf(`\n${name} `);
    values[name] = at < 0 ? 0 : parseInt(text.slice(at + name.length + 2, at + name.length + 24), 10);
  }
  return values;
}

/** Reads one value of such a file; 0 also if the file does not exist. */
export function readCounter(path: string, name: string): number {
  try {
    return readFlatKeyed(path, [name])[name] ?? 0;
  } catch (error) {
    if (isNodeError(error) && (error.code === 'ENOENT' || error.code === 'ENODEV')) return 0;
    throw error;
  }
}

/** Reads a file with one number. `max` becomes Infinity. */
export function readNumber(path: string, read: ReadText = readOnce): number {
  const text = read(path).trim();
  return text === 'max' ? Infinity : Number(text);
}
