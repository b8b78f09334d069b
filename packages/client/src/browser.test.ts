import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

test.each(['index.ts', 'process/index.ts', 'web/index.ts'])(
  '%s and all that it imports can be built for a browser, and are small',
  async (file) => {
    // Fails for every module of Node and for every import that a browser cannot have.
    const { outputFiles } = await build({
      entryPoints: [join(import.meta.dirname, file)],
      ...{
        bundle: true,
        platform: 'browser',
        format: 'esm',
        minify: true,
        write: false,
        target: 'es2022',
        conditions: ['soulbox-source'],
      },
      // Only from sources: no entry of ours for other conditions.
      logLevel: 'silent',
    });
    expect(gzipSync(outputFiles[0]?.contents ?? '').length).toBeLessThan(30_000);
  },
);
