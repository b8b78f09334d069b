import { z } from 'zod';

/** The address that the client expects (e2b 2.51.0: `getMcpUrl`, `getMcpToken`). */
export const gatewayPort = 50005;
export const gatewayPath = '/mcp';
export const tokenFile = '/etc/mcp-gateway/.token';
export const logFile = '/var/log/mcp-gateway.log';
/** The variable in which the client passes its token. */
const tokenVariable = 'GATEWAY_ACCESS_TOKEN';

/** The client's token. It is removed from the environment, so that no server sees it. Throws when there is none. */
export function takeToken(): string {
  const token = process.env[tokenVariable] ?? '';
  if (token === '') throw new Error(`${tokenVariable} is not set.`);
  Reflect.deleteProperty(process.env, tokenVariable);
  return token;
}

/** The environment of every server, in addition to its own variables. */
export function commonEnvironment(): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/root' };
}

/** The template's npm packages (apps/mcp-gateway/servers). */
const packages = '/opt/mcp-gateway/node_modules/@modelcontextprotocol';
/** Folder into which servers from git are cloned. */
export const checkouts = '/opt/mcp-gateway/checkouts';

/** A program that speaks MCP on its standard input and output. */
export interface ServerProgram {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Source code that is cloned and installed first. */
  readonly source?: { readonly url: string; readonly directory: string; readonly installCommand?: string };
}

const absolutePath = z.string().startsWith('/').max(4096);

/**
 * The servers of the template by their names in the client's `mcp` option. Each accepts the settings that the option
 * defines for it.
 */
const catalog = {
  everything: { schema: z.looseObject({}), args: () => [] },
  filesystem: {
    schema: z.looseObject({ paths: z.array(absolutePath).min(1).max(64) }),
    args: ({ paths }: { paths: string[] }) => paths,
  },
  memory: { schema: z.looseObject({}), args: () => [] },
  sequentialthinking: { schema: z.looseObject({}), args: () => [] },
} as const;

export type KnownServer = keyof typeof catalog;
export const knownServers = Object.keys(catalog) as KnownServer[];

const folders: Record<KnownServer, string> = {
  everything: 'server-everything',
  filesystem: 'server-filesystem',
  memory: 'server-memory',
  sequentialthinking: 'server-sequential-thinking',
};

/**
 * Settings of `github/OWNER/REPOSITORY` (the client's form), or of any other name for a program that is already
 * installed.
 */
const customSchema = z.object({
  runCmd: z.string().min(1).max(65_536),
  installCmd: z.string().min(1).max(65_536).optional(),
  envs: z.record(z.string().min(1).max(256), z.string().max(131_072)).optional(),
});
const githubForm = /^github\/([A-Za-z0-9][A-Za-z0-9-]{0,38})\/([A-Za-z0-9._-]{1,100})$/;
const nameForm = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,140}$/;
const serversMax = 32;

/** Parses the client's `mcp` option. Throws an Error that names the fault. */
export function parseConfig(text: string): ServerProgram[] {
  const config = z.record(z.string(), z.unknown()).parse(JSON.parse(text));
  const entries = Object.entries(config);
  if (entries.length === 0) throw new Error('The mcp option does not name a server.');
  if (entries.length > serversMax) throw new Error(`The mcp option names more than ${String(serversMax)} servers.`);
  return entries.map(([name, settings]) => parseServer(name, settings ?? {}));
}

function parseServer(name: string, settings: unknown): ServerProgram {
  if (Object.hasOwn(catalog, name)) return parseKnown(name as KnownServer, settings);
  if (!nameForm.test(name) || typeof settings !== 'object' || settings === null || !('runCmd' in settings)) {
    throw new Error(`This template has no MCP server "${name.slice(0, 140)}". It has: ${knownServers.join(', ')}.`);
  }
  const { runCmd, installCmd, envs = {} } = parse(name, customSchema, settings);
  // The caller's own command line, for the caller's own sandbox. It is written for a shell.
  const program = { name, command: '/bin/bash', args: ['-l', '-c', runCmd], env: envs };
  if (!name.startsWith('github/')) return program;
  const [, owner = '', repository = ''] = githubForm.exec(name) ?? [];
  if (owner === '' || repository === '.' || repository === '..')
    throw new Error(`"${name}" is not of the form github/OWNER/REPOSITORY.`);
  const directory = `${checkouts}/${owner}/${repository}`;
  const url = `https://github.com/${owner}/${repository}.git`;
  return {
    ...program,
    cwd: directory,
    source: { url, directory, ...(installCmd === undefined ? {} : { installCommand: installCmd }) },
  };
}

function parseKnown(name: KnownServer, settings: unknown): ServerProgram {
  const { schema, args } = catalog[name];
  const parsed = parse<unknown>(name, schema, settings) as { paths: string[] };
  return {
    name,
    command: process.execPath,
    args: [`${packages}/${folders[name]}/dist/index.js`, ...args(parsed)],
    env: name === 'memory' ? { MEMORY_FILE_PATH: '/var/lib/mcp-gateway/memory.json' } : {},
  };
}

function parse<T>(name: string, schema: z.ZodType<T>, settings: unknown): T {
  const { data, error } = schema.safeParse(settings);
  if (error === undefined) return data;
  throw new Error(`Settings of the MCP server "${name}": ${z.prettifyError(error)}`);
}
