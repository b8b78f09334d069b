import { SoulBoxError } from '@soulbox/base';
import { build } from 'esbuild';
import type { BuildOptions } from 'esbuild';

export type FunctionKind = 'workers' | 'edge';

/** What the platforms' own bundlers choose of packages that have several forms. */
const byKind: Readonly<Record<FunctionKind, BuildOptions>> = {
  workers: { conditions: ['workerd', 'worker', 'browser'], external: ['cloudflare:*', 'node:*'] },
  // Both leave the platforms' own modules alone: what an engine does not have it refuses by itself.
  edge: { conditions: ['edge-light', 'worker', 'browser'], external: ['cloudflare:*', 'node:*'] },
};

/** One module with all its imports, on the machine of whoever deploys: the server never runs a bundler on foreign code. */
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
