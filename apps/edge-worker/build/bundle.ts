import { join } from 'node:path';
import { build, stop } from 'esbuild';

/** Bundles the supervisor into one module, for the Node of the template `edge`. Takes tens of milliseconds. */
export async function bundleEdgeWorker(): Promise<string> {
  const result = await build({
    entryPoints: [join(import.meta.dirname, '../src/main.ts')],
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    minifySyntax: true,
    write: false,
    logLevel: 'silent',
  });
  // Otherwise esbuild's process would stay as long as this one: 30 MiB for nothing.
  await stop();
  const [file] = result.outputFiles;
  if (file === undefined) throw new Error('esbuild wrote no file');
  return file.text;
}
