import { UsageError } from '../command-line/usage-error.ts';

/** A side of a copy. */
export type Place =
  | { readonly at: 'standard' }
  | { readonly at: 'host'; readonly path: string }
  | { readonly at: 'sandbox'; readonly sandboxId: string; readonly path: string };

/**
 * `ID:/path`, `ID:path` from the home of the user, `ID:~/path`, `-`, or a path of this host. A path of this host that
 * has a colon begins with `./` or `/`. Throws UsageError.
 */
export function parsePlace(text: string): Place {
  if (text === '') throw new UsageError('A path must not be empty.');
  if (text === '-') return { at: 'standard' };
  const parts = /^([A-Za-z0-9][A-Za-z0-9_-]*):(.*)$/s.exec(text);
  const [, sandboxId, path] = parts ?? [];
  if (sandboxId === undefined || path === undefined) return { at: 'host', path: text };
  if (Buffer.byteLength(path) > 4095) throw new UsageError('A path can have at most 4095 bytes.');
  return { at: 'sandbox', sandboxId, path: path === '' ? '~' : path };
}

/** As the argument of a command for one path in a sandbox. Throws UsageError. */
export function parseSandboxPlace(text: string): Extract<Place, { at: 'sandbox' }> {
  const place = parsePlace(text);
  if (place.at === 'sandbox') return place;
  throw new UsageError(`${JSON.stringify(text)} must be ID:PATH, such as i2kxbq8m:/home/user.`);
}

/** How a source names what is copied. */
export interface SourceName {
  /** Without `/` or `/.` at its end. */
  readonly path: string;
  /** The last part, by which a copy is called in a folder. */
  readonly name: string;
  /** `/.` at the end, or no name at all: what is in the folder. */
  readonly isContents: boolean;
  /** `/` at the end: a link stands for its folder. */
  readonly isFolder: boolean;
}

export function parseSourceName(text: string): SourceName {
  const path = text.replace(/(\/+\.?)+$/, '') || (text.startsWith('/') ? '/' : '.');
  const name = path.slice(path.lastIndexOf('/') + 1);
  const isContents = text.endsWith('/.') || ['', '.', '..', '~'].includes(name);
  return { path, name, isContents, isFolder: isContents || text.endsWith('/') };
}
