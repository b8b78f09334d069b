import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import {
  CallToolRequestSchema,
  ErrorCode,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import type { Upstream } from './upstream.ts';

/** A tool may run as long as a command in a sandbox usually may. */
const callTimeoutMs = 600_000;

/**
 * One session of a client, with all servers merged into one. When two tools or prompts have the same name, the one of
 * the later server gets the prefix `server_`.
 */
// eslint-disable-next-line @typescript-eslint/no-deprecated -- the advanced use that its note speaks of: no tool is ours
export function createMergedServer(upstreams: readonly Upstream[]): Server {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- see above
  const server = new Server(
    { name: 'soulbox-mcp-gateway', version: '0.1.0' },
    { capabilities: { tools: {}, prompts: {}, resources: {} } },
  );
  const options = { timeout: callTimeoutMs };

  server.setRequestHandler(ListToolsRequestSchema, async () => ({
    tools: (await merge(upstreams, async (upstream) => await upstream.tools())).map(({ item, name }) => ({
      ...item,
      name,
    })),
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }) => {
    const merged = await merge(upstreams, async (upstream) => await upstream.tools());
    const { upstream, item } = find(merged, params.name, 'tool');
    return await upstream.client.callTool({ ...params, name: item.name }, undefined, options);
  });
  server.setRequestHandler(ListPromptsRequestSchema, async () => ({
    prompts: (await merge(upstreams, async (upstream) => await upstream.prompts())).map(({ item, name }) => ({
      ...item,
      name,
    })),
  }));
  server.setRequestHandler(GetPromptRequestSchema, async ({ params }) => {
    const merged = await merge(upstreams, async (upstream) => await upstream.prompts());
    const { upstream, item } = find(merged, params.name, 'prompt');
    return await upstream.client.getPrompt({ ...params, name: item.name }, options);
  });
  server.setRequestHandler(ListResourcesRequestSchema, async () => ({
    resources: (await Promise.all(upstreams.map(async (upstream) => await upstream.resources()))).flat(),
  }));
  server.setRequestHandler(ListResourceTemplatesRequestSchema, async () => ({
    resourceTemplates: (
      await Promise.all(upstreams.map(async (upstream) => await upstream.resourceTemplates()))
    ).flat(),
  }));
  server.setRequestHandler(ReadResourceRequestSchema, async ({ params }) => {
    const failures: unknown[] = [];
    // Templates create URIs that are not in any list. Servers are tried in order until one can read the resource.
    for (const upstream of upstreams) {
      if (upstream.client.getServerCapabilities()?.resources === undefined) continue;
      try {
        return await upstream.client.readResource(params, options);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures[0] instanceof Error) throw failures[0];
    throw new McpError(ErrorCode.InvalidParams, `Resource "${params.uri.slice(0, 200)}" was not found on any server.`);
  });
  return server;
}

interface Merged<T> {
  /** The name that clients use. */
  readonly name: string;
  readonly item: T;
  readonly upstream: Upstream;
}

async function merge<T extends { name: string }>(
  upstreams: readonly Upstream[],
  list: (upstream: Upstream) => Promise<T[]>,
): Promise<Merged<T>[]> {
  const lists = await Promise.all(upstreams.map(async (upstream) => ({ upstream, items: await list(upstream) })));
  const taken = new Set<string>();
  return lists.flatMap(({ upstream, items }) =>
    items.map((item) => {
      const name = taken.has(item.name)
        ? `${upstream.name.replaceAll(/[^A-Za-z0-9_-]/g, '_')}_${item.name}`
        : item.name;
      taken.add(name);
      return { name, item, upstream };
    }),
  );
}

function find<T>(merged: readonly Merged<T>[], name: string, what: string): Merged<T> {
  const found = merged.find((one) => one.name === name);
  if (found !== undefined) return found;
  throw new McpError(ErrorCode.InvalidParams, `No server has a ${what} named "${name.slice(0, 200)}".`);
}
