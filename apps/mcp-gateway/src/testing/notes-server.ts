/** An MCP server for tests: a separate program on standard input and output. Its tool returns `NOTES_OWNER`. */
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { z } from 'zod';

const { NOTES_OWNER: owner = 'nobody', GATEWAY_ACCESS_TOKEN: leaked = 'none' } = process.env;
const server = new McpServer({ name: 'notes', version: '1.0.0' });
server.registerTool('note', { inputSchema: { text: z.string() } }, ({ text }) => ({
  content: [{ type: 'text', text: `${owner}: ${text} (token ${leaked})` }],
}));
server.registerTool(`only_${owner}`, {}, () => ({ content: [{ type: 'text', text: owner }] }));
server.registerPrompt('greet', {}, () => ({
  messages: [{ role: 'user', content: { type: 'text', text: `Greet ${owner}.` } }],
}));
server.registerResource('page', new ResourceTemplate(`notes://${owner}/{page}`, { list: undefined }), {}, (uri) => ({
  contents: [{ uri: uri.href, text: `A page of ${owner}` }],
}));
await server.connect(new StdioServerTransport());
