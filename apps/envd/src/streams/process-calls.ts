import { SoulBoxError } from '@soulbox/base';
import type { Input, TerminalSize } from '@soulbox/contract/process-v1';
import type { ManagedProcess } from '../process/managed-process.ts';
import { parseTerminalSize } from '../process/terminal-size.ts';
import { signalGroup } from '../sys/signal.ts';

const maxInputBytes = 1024 * 1024;
const maxWriterLength = 64;
const maxSignal = 64;

/** Returns the bytes that the process has taken from this writer. Throws process_not_ready if it takes no more. */
export async function writeInput(
  { input }: ManagedProcess,
  writer: string,
  message: Input | undefined,
  signal: AbortSignal,
): Promise<number> {
  if (message === undefined) throw new SoulBoxError('bad_request', 'input is missing.');
  const { data, position } = message;
  if (writer.length > maxWriterLength)
    throw new SoulBoxError('bad_request', `The name of a writer can have at most ${maxWriterLength} characters.`);
  if (data.length > maxInputBytes)
    throw new SoulBoxError('bad_request', `input.data can have at most ${maxInputBytes} bytes. Send it in parts.`);
  if (input.kind === 'none') throw inputClosed('The process was started without input.');
  try {
    const from = position === undefined ? undefined : Number(position);
    return await input.sequenced.write({ writer, position: from, bytes: data }, signal);
  } catch (error) {
    if (error instanceof SoulBoxError && error.reason === 'process_state') throw inputClosed(error.message);
    throw error;
  }
}

/** Closes after the accepted writes. */
export async function closeInput({ input }: ManagedProcess): Promise<void> {
  if (input.kind === 'pty')
    throw new SoulBoxError('process_not_ready', 'The input of a terminal cannot be closed. Send Ctrl-D instead.');
  if (input.kind === 'stdin') await input.writer.close();
}

export function resize({ input, ended }: ManagedProcess, size: TerminalSize | undefined): void {
  if (input.kind !== 'pty' || ended !== undefined)
    throw new SoulBoxError('process_not_ready', ended ? 'The process has ended.' : 'The process has no terminal.');
  input.resize(parseTerminalSize(size === undefined ? {} : { size }));
}

export function sendSignal({ pid, ended }: ManagedProcess, signal: number): void {
  if (signal < 1 || signal > maxSignal)
    throw new SoulBoxError('bad_request', `signal must be a number from 1 to ${maxSignal}.`);
  if (ended !== undefined || !signalGroup(pid, signal))
    throw new SoulBoxError('process_not_ready', 'The process has ended.');
}

const closedErrors = new WeakSet<object>();

function inputClosed(message: string): SoulBoxError {
  const error = new SoulBoxError('process_not_ready', message);
  closedErrors.add(error);
  return error;
}

/** Whether the error says that the process takes no more input. */
export function isInputClosed(error: unknown): boolean {
  return typeof error === 'object' && error !== null && closedErrors.has(error);
}
