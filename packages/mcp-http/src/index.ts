export { serveMcp } from './serve-mcp.ts';
export type { McpHttpOptions, McpHttpServer } from './serve-mcp.ts';
