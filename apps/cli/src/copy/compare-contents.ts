import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import type { ReachedSandbox } from '../api/reach-sandbox.ts';
import { runScript } from './run-script.ts';
import { digestScript } from './scripts.ts';

export interface Comparison {
  /** A folder of this host. */
  readonly source: string;
  /** A folder of the sandbox. */
  readonly path: string;
  readonly user: string | undefined;
  readonly signal: AbortSignal;
}

/** A path has at most 4096 bytes. */
const maxRecordBytes = 8 * 1024;
/** Of xargs: a digest failed, such as of a file that has vanished. */
const someFailedCode = 123;
const inputStepBytes = 64 * 1024;

/**
 * Which of these files have other contents in the sandbox, by SHA-256 on both sides. Names are latin1, because they are
 * bytes. A file that cannot be read on either side counts as another one.
 */
export async function findOtherContents(
  sandbox: ReachedSandbox,
  names: ReadonlySet<string>,
  { source, path, user, signal }: Comparison,
): Promise<Set<string>> {
  const others = new Set(names);
  if (names.size === 0) return others;
  const script = { text: digestScript, args: [path], user, hasInput: true, isBounded: true, signal };
  const run = await runScript(sandbox, script);
  const writing = writeNames(run.program, names);
  writing.catch(() => undefined);
  let text = '';
  for await (const bytes of run.output) {
    const records = (text + Buffer.from(bytes).toString('latin1')).split('\0');
    text = records.pop() ?? '';
    if (text.length > maxRecordBytes) throw invalidDigests();
    for (const record of records) {
      const [, digest = '', name = ''] = /^([0-9a-f]{64}) [ *]\.\/(.+)$/s.exec(record) ?? [];
      if (!others.has(name)) throw invalidDigests();
      if ((await digestOf(source, name, signal)) === digest) others.delete(name);
    }
  }
  run.check(someFailedCode);
  await writing;
  return others;
}

async function writeNames(
  program: { write(bytes: Uint8Array): Promise<boolean>; closeInput(): Promise<void> },
  names: ReadonlySet<string>,
): Promise<void> {
  let batch = '';
  for (const name of names) {
    batch += `./${name}\0`;
    if (batch.length < inputStepBytes) continue;
    if (!(await program.write(Buffer.from(batch, 'latin1')))) return;
    batch = '';
  }
  await program.write(Buffer.from(batch, 'latin1'));
  await program.closeInput();
}

/** Undefined for what cannot be read: whoever sends it tells why. */
async function digestOf(source: string, name: string, signal: AbortSignal): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(Buffer.concat([Buffer.from(`${source}/`), Buffer.from(name, 'latin1')])), hash, {
      signal,
    });
  } catch (error) {
    if (isNodeError(error) && error.syscall !== undefined) return undefined;
    throw error;
  }
  return hash.digest('hex');
}

function invalidDigests(): SoulBoxError {
  return new SoulBoxError('bad_request', 'The sandbox sent an invalid list of digests.');
}
