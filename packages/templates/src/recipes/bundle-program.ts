import { build } from 'esbuild';

/** Makes one script of a TypeScript program and all that it imports, for the Node.js of the base template, which has no types. */
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
