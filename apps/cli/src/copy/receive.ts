import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import type { ReachedSandbox } from '../api/reach-sandbox.ts';
import { extract, noneCopied } from './extract.ts';
import type { Copied, Destination } from './extract.ts';
import { parseSourceName } from './place.ts';
import { runScript } from './run-script.ts';
import type { ScriptRun } from './run-script.ts';
import { packScript, printScript } from './scripts.ts';
import { readTar } from './tar-reader.ts';

export interface Reception {
  /** In the sandbox. */
  readonly source: string;
  /** On this host. */
  readonly destination: string;
  readonly user: string | undefined;
  readonly signal: AbortSignal;
  /** Called with the bytes that have arrived. */
  readonly onReceived: (bytes: number, copied: Readonly<Copied>) => void;
}

const sigterm = 15;

/** Copies a file or a folder of the sandbox to this host. */
export async function receive(sandbox: ReachedSandbox, reception: Reception): Promise<Copied & { bytes: number }> {
  const { source, user, signal, onReceived } = reception;
  const { path, isFolder, ...named } = parseSourceName(source);
  const destination = await placeOf(reception.destination, named);
  const args = [path, isFolder ? 'yes' : 'no'];
  const run = await runScript(sandbox, { text: packScript, args, user, signal });
  return await endingWith(run, async () => {
    const copied = noneCopied();
    let bytes = 0;
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const piece of whole(run, changedCode)) {
        bytes += piece.length;
        onReceived(bytes, copied);
        yield piece;
      }
    }
    await extract(readTar(counted()), destination, copied);
    run.check(changedCode);
    return { ...copied, bytes };
  });
}

/** The bytes of a file. Throws at the end if they are not all. */
export async function* readBytes(
  sandbox: ReachedSandbox,
  { path, user, signal }: { readonly path: string; readonly user: string | undefined; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const run = await runScript(sandbox, { text: printScript, args: [path], user, signal });
  let isWhole = false;
  try {
    yield* whole(run);
    isWhole = true;
  } finally {
    if (!isWhole) await run.program.kill(sigterm).catch(() => undefined);
  }
}

/** GNU tar: a file changed while it was read. The archive is complete. */
const changedCode = 1;

/** The output; its end is an error if the program says so, which comes before what is missing in an archive. */
async function* whole(run: ScriptRun, acceptedCode?: number): AsyncGenerator<Uint8Array> {
  yield* run.output;
  run.check(acceptedCode);
}

/** Ends the program when its output is no longer wanted. */
async function endingWith<T>({ program }: ScriptRun, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await program.kill(sigterm).catch(() => undefined);
    throw error;
  }
}

/** As `cp -r`: into a folder that is there. Throws `not_a_directory` and `file_not_found`. */
export async function placeOf(
  text: string,
  { name, isContents }: { readonly name: string; readonly isContents: boolean },
): Promise<Destination> {
  const path = resolve(text);
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === true) {
    return isContents ? { path, isThere: true } : { path: join(path, name), isThere: false };
  }
  if (text.endsWith('/') && found !== undefined) throw new SoulBoxError('not_a_directory', `${path} is not a folder.`);
  const above = await stat(dirname(path)).catch(() => undefined);
  if (above?.isDirectory() !== true)
    throw new SoulBoxError('file_not_found', `The folder ${dirname(path)} does not exist.`);
  return { path, isThere: false };
}
