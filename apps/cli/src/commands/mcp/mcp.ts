import { once } from 'node:events';
import { isIP } from 'node:net';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { defineCommand } from 'citty';
import { readInstallation } from '@soulbox/host/installation';
import { findApi } from '../../api/connection.ts';
import type { ApiConnection } from '../../api/connection.ts';
import { apiDataDirArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { createSession } from '../../mcp/create-session.ts';
import { mcpPath, serveHttp } from '../../mcp/serve-http.ts';
import { agentPrograms } from './client-configs.ts';
import type { AgentProgram } from './client-configs.ts';

const programNames = Object.keys(agentPrograms);
const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export const mcp = defineCommand({
  meta: {
    name: 'mcp',
    description: 'Serve sandboxes as tools of the Model Context Protocol, on standard input and output or over HTTP',
    examples: ['soulbox mcp install claude-code', 'soulbox mcp --http 127.0.0.1:8080'],
  },
  args: {
    action: {
      type: 'positional',
      required: false,
      description: 'install: print the configuration lines of an agent program. Default: serve',
    },
    program: { type: 'positional', required: false, description: `The agent program: ${programNames.join(', ')}` },
    'show-key': { type: 'boolean', description: 'With install: print the API key, not a placeholder' },
    http: {
      type: 'string',
      description: 'Serve Streamable HTTP at this address; clients send their API key as bearer token',
      valueHint: '[HOST:]PORT',
    },
    'data-dir': apiDataDirArg,
  },
  async run({ args }) {
    const { action, http } = args;
    if (action !== undefined && action !== 'install')
      throw new UsageError(`${JSON.stringify(action)} is not install, the only action.`);
    if (action !== undefined && http !== undefined) throw new UsageError('install excludes --http.');
    if (args['show-key'] === true && action === undefined) throw new UsageError('--show-key needs install.');
    const agent = action === undefined ? undefined : findAgentProgram(args.program);
    const address = http === undefined ? undefined : parseAddress(http);
    const api = await findApi(args['data-dir']);
    if (agent !== undefined) printConfiguration(api, agent, args['show-key'] === true);
    else if (address === undefined) await serveStdio(api);
    else await serveUntilTold(api, address);
  },
});

/** Until the client closes standard input. Standard output belongs to the protocol. */
async function serveStdio(api: ApiConnection): Promise<void> {
  const session = createSession(api, readInstallation().version);
  const ended = once(process.stdin, 'close');
  await session.connect(new StdioServerTransport());
  await ended;
  await session.close();
}

async function serveUntilTold(api: ApiConnection, address: { host: string; port: number }): Promise<void> {
  const server = await serveHttp({ api, ...address, version: readInstallation().version });
  const host = isIP(address.host) === 6 ? `[${address.host}]` : address.host;
  console.log(`http://${host}:${server.port}${mcpPath}`);
  await new Promise<void>((resolve) => {
    for (const signal of endSignals) process.once(signal, () => resolve());
  });
  await server.close();
}

/** Throws UsageError. */
function findAgentProgram(name: string | undefined): AgentProgram {
  const program = name !== undefined && Object.hasOwn(agentPrograms, name) ? agentPrograms[name] : undefined;
  if (program === undefined)
    throw new UsageError(`install needs one of ${programNames.join(', ')}, not ${JSON.stringify(name ?? '')}.`);
  return program;
}

function printConfiguration(api: ApiConnection, { title, file, render }: AgentProgram, showKey: boolean): void {
  console.error(`${title} reads these lines from ${file}. "soulbox" must be in its PATH.`);
  const key = showKey ? api.key.reveal() : 'YOUR_API_KEY';
  console.log(render({ command: 'soulbox', args: ['mcp'], env: { E2B_API_URL: api.url, E2B_API_KEY: key } }));
}

/** Without a host, only programs of this machine can connect. Throws UsageError. */
function parseAddress(text: string): { host: string; port: number } {
  const match = /^(?:(?<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):)?(?<port>\d{1,5})$/.exec(text);
  const port = Number(match?.groups?.['port']);
  if (match === null || port > 65_535)
    throw new UsageError(`--http must be PORT or HOST:PORT, not ${JSON.stringify(text)}.`);
  const host = match.groups?.['host'] ?? '127.0.0.1';
  return { host: host.replace(/^\[|\]$/g, ''), port };
}
