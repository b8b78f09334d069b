import { sleepUnlessAborted, SoulBoxError } from '@soulbox/base';
import type { BuildLog } from './build-log.ts';
import type { BuildSandbox } from './build-sandbox.ts';
import type { StepContext } from './build-spec.ts';
import { commandIn, runInBuild } from './steps/shell.ts';
import { nameCommand } from './steps/run.ts';

/** Interval between two runs of the ready command. */
const retryMs = 2000;
/** Wait after a start command that has no ready command. */
const settleMs = 20_000;

export interface StartOptions {
  readonly startCommand: string;
  readonly readyCommand: string;
  readonly context: StepContext;
  readonly readyTimeoutMs: number;
  readonly log: BuildLog;
  readonly signal: AbortSignal;
}

/**
 * Runs the start command and waits until the ready command succeeds. The output is logged until the sandbox is saved.
 * Throws `build_failed` when the start command fails before that, or is not ready in time.
 */
export async function startAndWait(sandbox: BuildSandbox, options: StartOptions): Promise<void> {
  const { startCommand, readyCommand, log, signal } = options;
  const ended = new AbortController();
  if (startCommand !== '') {
    log.write('finalize', 'info', `starting: ${startCommand.slice(0, 500)}`);
    void watchStart(sandbox, options, ended);
  }
  const either = AbortSignal.any([signal, ended.signal]);
  try {
    if (readyCommand !== '') await waitUntilReady(sandbox, options, either);
    else if (startCommand !== '') await sleepUnlessAborted(settleMs, either);
  } catch (error) {
    throw ended.signal.aborted && !signal.aborted ? ended.signal.reason : error;
  }
}

/**
 * Runs as long as the command. `ended` aborts when it fails. A command that succeeds may have left a service running.
 */
async function watchStart({ programs }: BuildSandbox, options: StartOptions, ended: AbortController): Promise<void> {
  const { startCommand, context, log, signal } = options;
  const output = log.openOutput('finalize');
  try {
    const { exitCode, status } = await programs.run(commandIn(context, startCommand), output.take);
    output.end();
    if (exitCode === 0) log.write('finalize', 'info', 'the start command has ended');
    else ended.abort(nameCommand(startCommand, new SoulBoxError('build_failed', `the start command ended: ${status}`)));
  } catch (error) {
    // This happens also when the sandbox is saved, because that cuts the connection.
    if (!signal.aborted) ended.abort(error);
  }
}

async function waitUntilReady({ programs }: BuildSandbox, options: StartOptions, signal: AbortSignal): Promise<void> {
  const { readyCommand, readyTimeoutMs, context, log } = options;
  log.write('finalize', 'info', `waiting until ready: ${readyCommand.slice(0, 500)}`);
  const output = log.openOutput('finalize');
  const giveUpAt = performance.now() + readyTimeoutMs;
  for (;;) {
    const timeoutMs = Math.max(1, Math.round(giveUpAt - performance.now()));
    const time = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const program = { ...commandIn(context, readyCommand), signal: time };
    const last = await runInBuild(programs, program, output.take).catch((error: unknown) => {
      signal.throwIfAborted();
      if (!time.aborted) throw error;
      return { exitCode: -1, status: 'still running' };
    });
    output.end();
    if (last.exitCode === 0) return;
    if (performance.now() + retryMs > giveUpAt) throw notReady(readyCommand, readyTimeoutMs, last.status);
    await sleepUnlessAborted(retryMs, signal);
  }
}

function notReady(command: string, timeoutMs: number, status: string): unknown {
  const message = `the ready command did not succeed within ${Math.round(timeoutMs / 1000)} s: ${status}`;
  return nameCommand(command, new SoulBoxError('build_failed', message));
}
