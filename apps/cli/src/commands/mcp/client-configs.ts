/** How an agent program is told of an MCP server. */
export interface AgentProgram {
  readonly title: string;
  /** Where the lines belong. */
  readonly file: string;
  readonly render: (server: ServerEntry) => string;
}

export interface ServerEntry {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const json = (value: object): string => JSON.stringify(value, null, 2);
const inMcpServers = (server: ServerEntry): string => json({ mcpServers: { soulbox: server } });

/** By the names that `soulbox mcp install` takes. The forms are those of the programs' own documentation (2026). */
export const agentPrograms: Readonly<Record<string, AgentProgram>> = {
  'claude-code': { title: 'Claude Code', file: '.mcp.json of a project', render: inMcpServers },
  'claude-desktop': { title: 'Claude Desktop', file: 'claude_desktop_config.json', render: inMcpServers },
  codex: { title: 'Codex', file: '~/.codex/config.toml', render: tomlOf },
  cursor: { title: 'Cursor', file: '~/.cursor/mcp.json', render: inMcpServers },
  gemini: { title: 'Gemini CLI', file: '~/.gemini/settings.json', render: inMcpServers },
  vscode: {
    title: 'Visual Studio Code',
    file: '.vscode/mcp.json of a project',
    render: (server) => json({ servers: { soulbox: { type: 'stdio', ...server } } }),
  },
  windsurf: { title: 'Windsurf', file: '~/.codeium/windsurf/mcp_config.json', render: inMcpServers },
};

/** Strings of JSON are strings of TOML. */
function tomlOf({ command, args, env }: ServerEntry): string {
  const lines = ['[mcp_servers.soulbox]', `command = ${JSON.stringify(command)}`, `args = ${JSON.stringify(args)}`];
  const variables = Object.entries(env).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  if (variables.length > 0) lines.push('', '[mcp_servers.soulbox.env]', ...variables);
  return lines.join('\n');
}
