import { SoulBoxError } from '@soulbox/base';
import { build } from 'esbuild';
import type { BuildOptions } from 'esbuild';

export type FunctionKind = 'workers' | 'edge';

/** The variants of packages that the platforms' own bundlers choose. */
const byKind: Readonly<Record<FunctionKind, BuildOptions>> = {
  workers: { conditions: ['workerd', 'worker', 'browser'], external: ['cloudflare:*', 'node:*'] },
  // Neither bundles the modules of the platforms. An engine refuses those that it does not have.
  edge: { conditions: ['edge-light', 'worker', 'browser'], external: ['cloudflare:*', 'node:*'] },
};

/**
 * Bundles one module with all its imports on the machine of the developer: the server never runs a bundler on foreign
 * code.
 */
export async function bundleFunction(entry: string, kind: FunctionKind): Promise<string> {
  try {
    const { outputFiles } = await build({
      entryPoints: [entry],
      bundle: true,
      format: 'esm',
      platform: 'neutral',
      target: 'es2022',
      mainFields: ['module', 'main'],
      loader: { '.wasm': 'binary', '.bin': 'binary', '.txt': 'text', '.html': 'text', '.sql': 'text' },
      define: { 'process.env.NODE_ENV': '"production"' },
      legalComments: 'none',
      write: false,
      logLevel: 'silent',
      ...byKind[kind],
    });
    return outputFiles?.[0]?.text ?? '';
  } catch (cause) {
    throw new SoulBoxError('bad_request', cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
