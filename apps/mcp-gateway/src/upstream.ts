import { execFile } from 'node:child_process';
import { access, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { ErrorCode, McpError } from '@modelcontextprotocol/sdk/types.js';
import type { Prompt, Resource, ResourceTemplate, Tool } from '@modelcontextprotocol/sdk/types.js';
import { commonEnvironment } from './config.ts';
import type { ServerProgram } from './config.ts';

/** A server that needs longer for its handshake is broken; one from npm takes less than a second. */
const startTimeoutMs = 60_000;
const installTimeoutMs = 300_000;
/** Limit of pages in one list; further pages are ignored. */
const pagesMax = 50;

/** One MCP server behind the gateway. */
export interface Upstream {
  readonly name: string;
  readonly client: Client;
  tools(): Promise<Tool[]>;
  prompts(): Promise<Prompt[]>;
  resources(): Promise<Resource[]>;
  resourceTemplates(): Promise<ResourceTemplate[]>;
}

/**
 * Starts the program and performs the handshake. Throws an Error that names the server and includes its last output.
 */
export async function startUpstream(program: ServerProgram): Promise<Upstream> {
  if (program.source !== undefined) await fetchSource(program, program.source);
  const transport = new StdioClientTransport({
    command: program.command,
    args: [...program.args],
    env: { ...commonEnvironment(), ...program.env },
    ...(program.cwd === undefined ? {} : { cwd: program.cwd }),
    stderr: 'pipe',
  });
  let said = '';
  transport.stderr?.on('data', (bytes: Buffer) => {
    said = `${said}${bytes.toString('utf8')}`.slice(-2000);
  });
  const client = new Client({ name: 'soulbox-mcp-gateway', version: '0.1.0' });
  try {
    await client.connect(transport, { timeout: startTimeoutMs });
  } catch (error) {
    await client.close();
    const why = said.trim() === '' ? String(error) : said.trim();
    throw new Error(`The MCP server "${program.name}" did not start: ${why}`, { cause: error });
  }
  return upstreamFrom(program.name, client);
}

function upstreamFrom(name: string, client: Client): Upstream {
  const has = (capability: 'tools' | 'prompts' | 'resources'): boolean =>
    client.getServerCapabilities()?.[capability] !== undefined;
  return {
    name,
    client,
    tools: async () =>
      has('tools')
        ? await allPages(async (params) => {
            const { tools, nextCursor } = await client.listTools(params);
            return { items: tools, nextCursor };
          })
        : [],
    prompts: async () =>
      has('prompts')
        ? await allPages(async (params) => {
            const { prompts, nextCursor } = await client.listPrompts(params);
            return { items: prompts, nextCursor };
          })
        : [],
    resources: async () =>
      has('resources')
        ? await allPages(async (params) => {
            const { resources, nextCursor } = await client.listResources(params);
            return { items: resources, nextCursor };
          })
        : [],
    resourceTemplates: async () =>
      has('resources')
        ? await allPages(async (params) => {
            const { resourceTemplates, nextCursor } = await client.listResourceTemplates(params);
            return { items: resourceTemplates, nextCursor };
          })
        : [],
  };
}

async function allPages<T>(
  list: (params: { cursor?: string }) => Promise<{ items: T[]; nextCursor?: string | undefined }>,
): Promise<T[]> {
  const all: T[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < pagesMax; page++) {
    const { items, nextCursor } = await readPage(list, cursor);
    all.push(...items);
    if (nextCursor === undefined) return all;
    cursor = nextCursor;
  }
  return all;
}

/** A server may announce resources and still not support a list of them. */
async function readPage<T>(
  list: (params: { cursor?: string }) => Promise<{ items: T[]; nextCursor?: string | undefined }>,
  cursor: string | undefined,
): Promise<{ items: T[]; nextCursor?: string | undefined }> {
  try {
    return await list(cursor === undefined ? {} : { cursor });
  } catch (error) {
    if (error instanceof McpError && error.code === (ErrorCode.MethodNotFound as number)) return { items: [] };
    throw error;
  }
}

async function fetchSource(program: ServerProgram, source: NonNullable<ServerProgram['source']>): Promise<void> {
  const { url, directory, installCommand } = source;
  const isThere = await access(directory).then(
    () => true,
    () => false,
  );
  if (isThere) return;
  await mkdir(dirname(directory), { recursive: true });
  const options = { timeout: installTimeoutMs, env: { ...commonEnvironment(), GIT_TERMINAL_PROMPT: '0' } };
  try {
    await promisify(execFile)('git', ['clone', '--depth', '1', '--', url, directory], options);
    if (installCommand !== undefined)
      await promisify(execFile)('/bin/bash', ['-l', '-c', installCommand], { ...options, cwd: directory });
  } catch (error) {
    throw new Error(`The MCP server "${program.name}" could not be installed: ${String(error)}`, { cause: error });
  }
}
