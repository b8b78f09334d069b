import { join } from 'node:path';
import { build, stop } from 'esbuild';

/**
 * Bundles the SFTP server into one module of a few KiB, which is an argument of the Bun that sandboxes have for envd. Takes
 * tens of milliseconds.
 */
export async function bundleSftpServer(): Promise<string> {
  const result = await build({
    entryPoints: [join(import.meta.dirname, '../src/main.ts')],
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'esnext',
    minify: true,
    write: false,
    logLevel: 'silent',
  });
  // Otherwise esbuild's process would stay as long as this one: 30 MiB for nothing.
  await stop();
  const [file] = result.outputFiles;
  if (file === undefined) throw new Error('esbuild wrote no file');
  return file.text;
}
