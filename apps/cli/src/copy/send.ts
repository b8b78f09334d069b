import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { SoulBoxError } from '@soulbox/base';
import { createPrograms } from '@soulbox/envd-client';
import type { PipedProgram, Programs } from '@soulbox/envd-client';
import type { ReachedSandbox } from '../api/reach-sandbox.ts';
import { runScript } from './run-script.ts';
import type { ScriptRun } from './run-script.ts';
import { unpackScript } from './scripts.ts';

/** What is put in place inside. */
export interface Arrival {
  /** As the user has written it. */
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'stream';
  /** Of the source, for a path that is a folder. */
  readonly name: string;
  /** The path gets what is in the source, not the source itself. */
  readonly isContents: boolean;
  readonly mustBeFolder: boolean;
  readonly user: string | undefined;
}

/** The archive, and a check that must pass before anything is put in place. */
export interface Parcel {
  readonly bytes: AsyncIterable<Uint8Array>;
  check(): Promise<void>;
}

/** One part is a file in the sandbox until it is read, and in our memory until it is sent. */
const partBytes = 8 * 1024 * 1024;
/** Parts on their way at a time. The sandbox needs room for twice as many. */
const width = 2;
const partMs = 300_000;
const partAttempts = 3;
const endWaitMs = 30_000;
const aliveMs = 60_000;
/** Without a sign of life for this time, or twice this time, the program inside ends. */
const idleSeconds = 900;
const maxGreetingBytes = 16 * 1024;
const sigterm = 15;

/**
 * Sends an archive, or a plain stream, in parts by the files API of envd, which is faster than the input of a process.
 * The program inside reads them in order and puts the result in place at the end. If anything fails or the signal
 * aborts, nothing is put in place, and what had arrived is removed.
 */
export async function send(
  sandbox: ReachedSandbox,
  arrival: Arrival,
  open: (isForGnu: boolean, signal: AbortSignal) => Parcel,
  { signal, onSent }: { readonly signal: AbortSignal; readonly onSent: (bytes: number) => void },
): Promise<void> {
  const { path, kind, name, isContents, mustBeFolder, user } = arrival;
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const words = [isContents, mustBeFolder].map((flag) => (flag ? 'yes' : 'no'));
  // Its own signal: after an abort the program must be seen to end.
  const ending = new AbortController();
  const args = [path, kind, name, ...words, randomBytes(9).toString('base64url'), String(idleSeconds)];
  const run = await runScript(sandbox, { text: unpackScript, args, user, hasInput: true, signal: ending.signal });
  const programs = createPrograms(sandbox.target, sandbox.token);
  let drained: Promise<void> | undefined;
  const deliver = async (): Promise<void> => {
    const { isGnu, stage } = await readGreeting(run, both);
    // All the time, because warnings of tar must not fill the log, which would stop it.
    drained = drain(run);
    drained.catch(() => undefined);
    const parcel = open(isGnu, both);
    using writer = createLineWriter(run.program);
    const sendPart = async (number: number, bytes: Uint8Array): Promise<string> =>
      await uploadPart(programs, { stage, number, bytes }, { user, signal: both });
    const isRead = await sendParts(writer, parcel.bytes, { sendPart, onSent, signal: both });
    if (isRead) {
      await parcel.check();
      both.throwIfAborted();
      await writer.write('end');
      await run.program.closeInput();
    }
    await drained;
    run.check();
    if (!isRead) throw new SoulBoxError('sandbox_unreachable', 'The sandbox has ended the copy.');
  };
  try {
    // A sandbox that answers nothing, or an input that stays silent, cannot hold up an abort.
    await orAborted(deliver(), both);
  } catch (error) {
    stop.abort(error);
    const timer = setTimeout(() => ending.abort(new Error('The sandbox does not end the copy.')), endWaitMs);
    try {
      await run.program.kill(sigterm).catch(() => undefined);
      await (drained ?? drain(run)).catch(() => undefined);
    } finally {
      clearTimeout(timer);
    }
    if (signal.aborted) throw signal.reason;
    // The program knows better than its uploads why it has ended, such as a full disk.
    if (error instanceof SoulBoxError && error.reason === 'disk_full') throw error;
    run.check();
    throw error;
  } finally {
    stop.abort();
    programs.close();
  }
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = signal.aborted ? Promise.resolve() : once(signal, 'abort');
  return await Promise.race([
    work,
    aborted.then(() => {
      throw signal.reason;
    }),
  ]);
}

interface LineWriter extends Disposable {
  /** False: the program reads no more. */
  write(line: string): Promise<boolean>;
}

/** Writes lines in order, and empty ones as long as it is not disposed: signs of life. */
function createLineWriter(program: PipedProgram): LineWriter {
  let turn = Promise.resolve(true);
  let waiting = 0;
  const write = async (line: string): Promise<boolean> => {
    waiting += 1;
    turn = turn.then(async (isRead) => isRead && (await program.write(Buffer.from(`${line}\n`))));
    turn.catch(() => undefined);
    const mine = turn;
    try {
      return await mine;
    } finally {
      waiting -= 1;
    }
  };
  const timer = setInterval(() => {
    if (waiting === 0) write('').catch(() => undefined);
  }, aliveMs);
  return { write, [Symbol.dispose]: () => clearInterval(timer) };
}

async function readGreeting(
  run: ScriptRun,
  signal: AbortSignal,
): Promise<{ readonly isGnu: boolean; readonly stage: string }> {
  let text = Buffer.alloc(0);
  for (;;) {
    const parts = text.toString('utf8').split('\0');
    const [tar, stage] = parts;
    if (parts.length > 2 && stage !== undefined) return { isGnu: tar === 'gnu', stage };
    const step = await orAborted(run.output.next(), signal);
    if (step.done === true) {
      run.check();
      throw new SoulBoxError('sandbox_unreachable', 'The sandbox has ended the copy.');
    }
    text = Buffer.concat([text, step.value]);
    if (text.length > maxGreetingBytes) throw new SoulBoxError('bad_request', 'The sandbox sent an invalid answer.');
  }
}

interface PartSending {
  /** Returns the name of the part. */
  readonly sendPart: (number: number, bytes: Uint8Array) => Promise<string>;
  readonly onSent: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/** False: the program reads no more. */
async function sendParts(
  writer: LineWriter,
  stream: AsyncIterable<Uint8Array>,
  { sendPart, onSent, signal }: PartSending,
): Promise<boolean> {
  const waiting: Promise<boolean>[] = [];
  let announced: Promise<boolean> = Promise.resolve(true);
  let number = 0;
  for await (const part of inParts(stream)) {
    signal.throwIfAborted();
    const before = announced;
    const sent = sendPart(number++, part);
    sent.catch(() => undefined);
    announced = (async () => {
      if (!(await before)) return false;
      const name = await sent;
      onSent(part.length);
      return await writer.write(name);
    })();
    announced.catch(() => undefined);
    waiting.push(announced);
    if (waiting.length >= width && !(await waiting.shift())) return false;
  }
  return await announced;
}

async function* inParts(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let batch: Uint8Array[] = [];
  let size = 0;
  for await (const bytes of stream) {
    batch.push(bytes);
    size += bytes.length;
    if (size < partBytes) continue;
    yield Buffer.concat(batch);
    [batch, size] = [[], 0];
  }
  if (size > 0) yield Buffer.concat(batch);
}

/** A part is not read before it is announced, so it can be sent again, under another name. */
async function uploadPart(
  programs: Programs,
  { stage, number, bytes }: { readonly stage: string; readonly number: number; readonly bytes: Uint8Array },
  { user, signal }: { readonly user: string | undefined; readonly signal: AbortSignal },
): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const name = `${number}.${attempt}`;
    try {
      const options = { timeoutMs: partMs, signal, ...(user === undefined ? {} : { user }) };
      await programs.upload(`${stage}/part.${name}`, bytes, options);
      return name;
    } catch (error) {
      signal.throwIfAborted();
      const isLost = error instanceof SoulBoxError && error.reason === 'sandbox_unreachable';
      if (!isLost || attempt >= partAttempts) throw error;
    }
  }
}

async function drain({ output }: ScriptRun): Promise<void> {
  for await (const _ of output) continue;
}
