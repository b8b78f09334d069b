import { join } from 'node:path';
import { build, stop } from 'esbuild';

/** What the SSH process runs inside sandboxes, each as one module. */
export interface SshPrograms {
  readonly sftpServer: string;
  readonly remoteListener: string;
}

/**
 * Bundles the programs into modules of a few KiB, which are arguments of the Bun that sandboxes have for envd. Takes tens of
 * milliseconds.
 */
export async function bundleSshPrograms(): Promise<SshPrograms> {
  const result = await build({
    // Whole paths, because packages contain them with another ending.
    entryPoints: [join(import.meta.dirname, '../src/main.ts'), join(import.meta.dirname, '../src/remote-listener.ts')],
    outdir: 'nowhere',
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
  const [sftpServer, remoteListener] = result.outputFiles;
  if (sftpServer === undefined || remoteListener === undefined) throw new Error('esbuild wrote too few files');
  return { sftpServer: sftpServer.text, remoteListener: remoteListener.text };
}
