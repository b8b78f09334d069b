import { build } from 'esbuild';

/**
 * Bundles a TypeScript program with all its imports into one script for the Node.js of the base template, which cannot
 * strip types.
 */
export async function bundleProgram(entry: string, target: string): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile: target,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    legalComments: 'inline',
    banner: { js: '#!/usr/bin/env node' },
    logLevel: 'silent',
  });
}
