import { SoulBoxError } from '@soulbox/base';
import type { InputWriter } from './input-writer.ts';

/** Clients that write to one process and are remembered. */
const maxWriters = 64;
/** A writer that was silent for so long may be forgotten when another comes. */
const forgetAfterMs = 600_000;
/** Writes of one writer that wait for the process. */
const maxWaiting = 16;

/**
 * The input of a process by position. Each writer counts its own bytes. A write that is repeated, completely or from
 * some byte on, is applied once: bytes that the process's pipe has already taken are skipped.
 */
export interface SequencedInput {
  /**
   * Writes bytes whose first has this position, by default the next one. Returns the writer's accepted bytes. Throws
   * position_out_of_range if input before it is missing, and process_state if the input is closed.
   */
  write(input: WriterInput, signal: AbortSignal): Promise<number>;
  /** The bytes that the process's pipe or terminal has taken from the writer. */
  accepted(writer: string): number;
}

export interface WriterInput {
  readonly writer: string;
  readonly position: number | undefined;
  readonly bytes: Uint8Array;
}

interface WriterState {
  accepted: number;
  waiting: number;
  usedAt: number;
  /** The end of the writer's last write. */
  last: Promise<unknown>;
}

export function createSequencedInput(input: InputWriter, now: () => number = () => performance.now()): SequencedInput {
  const writers = new Map<string, WriterState>();

  function stateOf(name: string): WriterState {
    const found = writers.get(name);
    if (found !== undefined) return found;
    if (writers.size >= maxWriters) forgetOldest();
    const state = { accepted: 0, waiting: 0, usedAt: now(), last: Promise.resolve() };
    writers.set(name, state);
    return state;
  }

  function forgetOldest(): void {
    const idle = [...writers].filter(([, state]) => state.waiting === 0 && now() - state.usedAt > forgetAfterMs);
    const [oldest] = idle.sort(([, one], [, other]) => one.usedAt - other.usedAt);
    if (oldest === undefined)
      throw new SoulBoxError('limit_exceeded', `The process has ${maxWriters} writers. Reuse the name of one of them.`);
    writers.delete(oldest[0]);
  }

  async function writeNow(state: WriterState, { position, bytes }: WriterInput, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    const from = position ?? state.accepted;
    if (from > state.accepted)
      throw new SoulBoxError(
        'position_out_of_range',
        `Input begins at position ${from}, but the next expected position of this writer is ${state.accepted}.`,
      );
    const rest = bytes.subarray(Math.min(bytes.length, state.accepted - from));
    if (rest.length > 0) await input.write(rest, signal, (count) => (state.accepted += count));
    return state.accepted;
  }

  return {
    async write(written, signal) {
      const state = stateOf(written.writer);
      if (state.waiting >= maxWaiting)
        throw new SoulBoxError('limit_exceeded', 'The process does not read its input. Retry later.');
      state.waiting += 1;
      // In order, so that a repeated write sees how much of the first one was taken.
      const turn = state.last.then(async () => await writeNow(state, written, signal));
      state.last = turn.catch(() => undefined);
      try {
        return await turn;
      } finally {
        state.waiting -= 1;
        state.usedAt = now();
      }
    },
    accepted: (writer) => writers.get(writer)?.accepted ?? 0,
  };
}
