import { once } from 'node:events';
import type { CallError } from '@soulbox/client';
import { attachProcess } from '@soulbox/client/process';
import type { OpenedStream, ProcessEvent } from '@soulbox/client/process';
import { OutputStream } from '@soulbox/contract/process-v1';
import type { Exit, From, Process } from '@soulbox/contract/process-v1';
import { onUnread } from '../output/reader.ts';
import { createAcknowledger } from './acknowledge.ts';
import { createDetachFilter } from './detach-keys.ts';
import { createInputQueue } from './input-queue.ts';
import { faultFrom, keepaliveSeconds, patience } from './reach-processes.ts';
import type { ReachedProcesses } from './reach-processes.ts';
import { sendInput } from './send-input.ts';
import { trySignal } from './signals.ts';
import type { CaughtSignal, Signals } from './signals.ts';
import { enterRawMode, sizeOf } from './terminal.ts';

export interface SessionOptions {
  readonly sandbox: ReachedProcesses;
  readonly process: Pick<Process, 'id' | 'hasTerminal'>;
  /** Absent: all output that is kept. */
  readonly from?: From['from'];
  /** Output that is read from its beginning, if the start has opened it. */
  readonly opened?: OpenedStream | undefined;
  /** Whether standard input is passed on. */
  readonly hasInput: boolean;
  /** The process was started for this session: it gets its signals, and ends with its output. */
  readonly isOwn: boolean;
  /** No other session needs the output that was shown here, so the log may drop it. */
  readonly acknowledges: boolean;
  /** Of a terminal. Empty: none. */
  readonly detachKeys: Uint8Array;
  readonly signals: Signals;
}

/** `position`: of the first byte that was not shown. */
export type SessionEnd =
  | { readonly kind: 'ended'; readonly exit: Exit | undefined }
  | { readonly kind: 'detached' | 'interrupted' | 'unread'; readonly position: bigint };

/** Other sessions may be attached, and reconnecting at the moment: they need the exit too. */
const forgetAfterSeconds = 30;

/** A program that ignores Ctrl-C is left at the third one. */
const interruptsMax = 3;

/**
 * Connects a process with standard input and output until it has ended, or until the user leaves it. A lost connection
 * is made again, and nothing is lost or repeated.
 */
export async function runSession(options: SessionOptions): Promise<SessionEnd> {
  const { sandbox, isOwn, acknowledges, from, opened } = options;
  const { id: processId } = options.process;
  const stop = new AbortController();
  const state: { left?: 'detached' | 'interrupted' | 'unread'; fault?: unknown; position: bigint } = { position: 0n };
  const leave = (how: 'detached' | 'interrupted' | 'unread'): void => {
    state.left ??= how;
    stop.abort();
  };
  const fail = (fault: unknown): void => {
    state.fault ??= fault;
    stop.abort();
  };
  using cleanups = new DisposableStack();
  cleanups.defer(() => stop.abort());
  cleanups.use(onUnread(() => leave('unread')));
  forwardSignals(options, leave, stop.signal);
  connectInput(options, cleanups, { stop: stop.signal, leave, fail });

  const acknowledger = createAcknowledger(sandbox.patient, processId, stop.signal);
  const request = { processId, keepaliveSeconds, opened, ...(from === undefined ? {} : { from }) };
  const onResume = (error: CallError | undefined): void => {
    sandbox.onResume(`output of process ${processId}`, error);
    void sandbox.checkAlive().catch(fail);
  };
  try {
    for await (const event of attachProcess(sandbox.patient, request, {
      ...{ retry: patience, signal: stop.signal, onResume },
    })) {
      await show(event, stop.signal);
      state.position = endOf(event) ?? state.position;
      if (acknowledges) acknowledger.report(state.position);
      if (event.case !== 'ended') continue;
      // Otherwise its output would be kept for ten minutes.
      if (isOwn) await sandbox.client.forget({ processId, afterSeconds: forgetAfterSeconds }).catch(() => undefined);
      return { kind: 'ended', exit: event.value.exit };
    }
    throw new Error('The output of the process has no end.');
  } catch (thrown) {
    if (state.fault !== undefined) throw faultFrom(state.fault);
    if (state.left === undefined) throw faultFrom(thrown);
    if (state.left === 'unread' && isOwn)
      await trySignal(sandbox.client, processId, options.process.hasTerminal ? 'SIGHUP' : 'SIGPIPE');
    return { kind: state.left, position: state.position };
  }
}

function endOf(event: ProcessEvent): bigint | undefined {
  if (event.case === 'output') return event.value.position + BigInt(event.value.data.length);
  if (event.case === 'gap') return event.value.to;
  return event.value.position;
}

async function show(event: ProcessEvent, signal: AbortSignal): Promise<void> {
  if (event.case === 'gap') console.error(`soulbox: ${event.value.to - event.value.from} bytes of output are gone.`);
  if (event.case !== 'output') return;
  const stream = event.value.stream === OutputStream.STDERR ? process.stderr : process.stdout;
  if (!stream.write(event.value.data)) await once(stream, 'drain', { signal });
}

function forwardSignals(
  { sandbox, process: { id, hasTerminal }, isOwn, signals }: SessionOptions,
  leave: (how: 'interrupted') => void,
  stop: AbortSignal,
): void {
  let interrupts = 0;
  let turn: Promise<unknown> = Promise.resolve();
  signals.takeOver((signal: CaughtSignal) => {
    if (signal === 'SIGINT') interrupts += 1;
    if (!isOwn || interrupts >= interruptsMax) {
      leave('interrupted');
      return;
    }
    // In order. A terminal that is closed hangs up.
    turn = turn.then(async () => (stop.aborted ? undefined : await trySignal(sandbox.client, id, signal)));
    if (signal === 'SIGHUP' && hasTerminal) void turn.then(() => leave('interrupted'));
  });
}

interface InputEvents {
  readonly stop: AbortSignal;
  readonly leave: (how: 'detached') => void;
  readonly fail: (fault: unknown) => void;
}

function connectInput(options: SessionOptions, cleanups: DisposableStack, { stop, leave, fail }: InputEvents): void {
  const { sandbox, process: target, hasInput, detachKeys } = options;
  const { stdin } = process;
  if (target.hasTerminal) followSize(options, cleanups, stop);
  if (!hasInput) return;
  const isRaw = target.hasTerminal && stdin.isTTY;
  if (isRaw) cleanups.use(enterRawMode(stdin));
  const queue = createInputQueue(stdin);
  const filter = cleanups.use(
    createDetachFilter(isRaw ? detachKeys : new Uint8Array(), {
      pass: (bytes) => queue.push(bytes),
      detach: () => leave('detached'),
    }),
  );
  const onData = (bytes: Uint8Array): void => filter.type(bytes);
  const onEnd = (): void => {
    filter.flush();
    queue.end();
  };
  stdin.on('data', onData).once('end', onEnd).once('error', onEnd);
  cleanups.defer(() => {
    stdin.off('data', onData).pause();
    queue.end();
  });
  const sent = { client: sandbox.patient, processId: target.id, isTerminal: target.hasTerminal, signal: stop };
  sendInput(queue, sent).catch(fail);
}

/** Tells the process the size of the terminal, now and whenever it changes. */
function followSize({ sandbox, process: { id } }: SessionOptions, cleanups: DisposableStack, stop: AbortSignal): void {
  const { stdout } = process;
  if (!stdout.isTTY) return;
  let isTelling = false;
  let isStale = true;
  const tell = async (): Promise<void> => {
    if (isTelling) return;
    isTelling = true;
    while (isStale && !stop.aborted) {
      isStale = false;
      await sandbox.patient.resize({ processId: id, size: sizeOf(stdout) }, { signal: stop }).catch(() => undefined);
    }
    isTelling = false;
  };
  const onResize = (): void => {
    isStale = true;
    void tell();
  };
  stdout.on('resize', onResize);
  cleanups.defer(() => stdout.off('resize', onResize));
  void tell();
}
