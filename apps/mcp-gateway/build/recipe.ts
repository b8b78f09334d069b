import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleProgram } from '@soulbox/templates';
import type { Recipe } from '@soulbox/templates';

const program = 'usr/local/bin/mcp-gateway';

/**
 * The template for the client's `mcp` option. It has the program that the client calls, and npm servers that work
 * without a network.
 */
export const mcpGatewayRecipe: Recipe = {
  name: 'mcp-gateway',
  revision: 2,
  description: 'MCP servers behind one URL, for the mcp option of the clients',
  packages: [],
  npm: [{ lock: new URL('../servers/', import.meta.url), target: '/opt/mcp-gateway' }],
  finish: async (rootfs) => {
    await bundleProgram(fileURLToPath(new URL('../src/main.ts', import.meta.url)), join(rootfs, program));
    await chmod(join(rootfs, program), 0o755);
  },
};
