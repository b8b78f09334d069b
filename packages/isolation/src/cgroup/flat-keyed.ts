import { readFileSync } from 'node:fs';

/** Reads a `name value` file such as memory.stat and gives the values of `names`, 0 for one that is not there. */
export function readFlatKeyed<N extends string>(path: string, names: readonly N[]): Record<N, number> {
  const text = `\n${readFileSync(path, 'latin1')}`;
  const values = {} as Record<N, number>;
  for (const name of names) {
    const at = text.indexOf(`\n${name} `);
    values[name] = at < 0 ? 0 : parseInt(text.slice(at + name.length + 2, at + name.length + 24), 10);
  }
  return values;
}

/** Reads a file of one number. `max` is Infinity. */
export function readNumber(path: string): number {
  const text = readFileSync(path, 'latin1').trim();
  return text === 'max' ? Infinity : Number(text);
}
