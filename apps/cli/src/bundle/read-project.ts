import { readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import { parse as parseToml } from 'smol-toml';
import { z } from 'zod';
import { withoutComments } from './without-comments.ts';

/** The facts about the function that a file or folder contains. */
export interface Project {
  /** The module to bundle. */
  readonly entry: string;
  readonly name: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly kv: Readonly<Record<string, string>>;
  readonly compatibilityDate: string | undefined;
  readonly compatibilityFlags: readonly string[] | undefined;
}

/** The supported keys of a Wrangler configuration (its documentation, "Configuration"). */
const wranglerSchema = z.object({
  main: z.string().optional(),
  name: z.string().optional(),
  compatibility_date: z.string().optional(),
  compatibility_flags: z.array(z.string()).optional(),
  vars: z.record(z.string(), z.unknown()).default({}),
  kv_namespaces: z.array(z.object({ binding: z.string(), id: z.string().optional() })).default([]),
});

const packageSchema = z.object({
  name: z.string().optional(),
  module: z.string().optional(),
  main: z.string().optional(),
});

const extensions = ['ts', 'tsx', 'mts', 'js', 'jsx', 'mjs'];
const usualPlaces = ['index', 'src/index', 'worker', 'src/worker', 'api/index'];

/**
 * Finds the entry of a function. For a file it is the file itself. For a folder it comes from Wrangler's configuration,
 * package.json or the usual names. Throws `bad_path`.
 */
export async function readProject(path: string): Promise<Project> {
  const full = resolve(path);
  const kind = await kindOf(full);
  if (kind === undefined) throw new SoulBoxError('bad_path', `${path} does not exist.`);
  if (kind === 'file') return { ...nothing, entry: full, name: undefined };
  const wrangler = await readWrangler(full);
  if (wrangler?.entry !== undefined) return { ...wrangler, entry: wrangler.entry };
  const described = packageSchema.safeParse(await readJson(join(full, 'package.json'))).data;
  const candidates = [
    ...[described?.module, described?.main].filter((file) => file !== undefined),
    ...usualPlaces.flatMap((place) => extensions.map((extension) => `${place}.${extension}`)),
  ];
  for (const candidate of candidates) {
    const entry = join(full, candidate);
    if ((await kindOf(entry)) === 'file')
      return { ...nothing, ...wrangler, entry, name: wrangler?.name ?? described?.name ?? basename(full) };
  }
  throw new SoulBoxError(
    'bad_path',
    `${path} has no entry file. Set "main" in wrangler.toml or package.json, or name the file index.ts.`,
  );
}

const nothing = { environment: {}, kv: {}, compatibilityDate: undefined, compatibilityFlags: undefined } as const;

type Wrangler = Omit<Project, 'entry'> & { readonly entry: string | undefined };

async function readWrangler(folder: string): Promise<Wrangler | undefined> {
  for (const file of ['wrangler.jsonc', 'wrangler.json', 'wrangler.toml']) {
    const text = await readText(join(folder, file));
    if (text === undefined) continue;
    const parsed = wranglerSchema.safeParse(parseWrangler(file, text));
    if (!parsed.success) throw new SoulBoxError('bad_request', `${file}: ${z.prettifyError(parsed.error)}`);
    const { main, name, vars, kv_namespaces: namespaces, ...rest } = parsed.data;
    return {
      entry: main === undefined ? undefined : join(folder, main),
      name: name ?? basename(folder),
      environment: Object.fromEntries(
        Object.entries(vars).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
      ),
      kv: Object.fromEntries(namespaces.map(({ binding, id }) => [binding, id ?? binding])),
      compatibilityDate: rest.compatibility_date,
      compatibilityFlags: rest.compatibility_flags,
    };
  }
  return undefined;
}

function parseWrangler(file: string, text: string): unknown {
  try {
    return file.endsWith('.toml') ? parseToml(text) : JSON.parse(withoutComments(text));
  } catch (cause) {
    throw new SoulBoxError('bad_request', `${file} cannot be read: ${String(cause)}`, { cause });
  }
}

async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  return text === undefined ? undefined : JSON.parse(text);
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function kindOf(path: string): Promise<'file' | 'folder' | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined ? undefined : found.isDirectory() ? 'folder' : 'file';
}
