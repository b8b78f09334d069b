import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodes } from '../command-line/exit-codes.ts';
import type { ProcessClient } from './reach-processes.ts';

export type CaughtSignal = (typeof caught)[number];

/** What a program in a sandbox gets as if it ran here. */
const caught = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

export interface Signals extends Disposable {
  /** Rejects at the first signal, with `Interrupted`, unless someone else has taken over by then. */
  orInterrupted<T>(work: Promise<T>): Promise<T>;
  /** From now on, each signal goes to `take`. */
  takeOver(take: (signal: CaughtSignal) => void): void;
}

/** A signal has come before there was a program for it. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly signal: CaughtSignal;

  constructor(signal: CaughtSignal) {
    super(`Interrupted (${signal}).`);
    this.signal = signal;
  }
}

/** Catches all signals until it is disposed. */
export function catchSignals(): Signals {
  const { promise: first, reject } = Promise.withResolvers<never>();
  first.catch(() => undefined);
  let take = (signal: CaughtSignal): void => reject(new Interrupted(signal));
  const handler = (signal: NodeJS.Signals): void => take(signal as CaughtSignal);
  for (const name of caught) process.on(name, handler);
  return {
    orInterrupted: async (work) => await Promise.race([work, first]),
    takeOver(given) {
      take = given;
    },
    [Symbol.dispose]() {
      for (const name of caught) process.off(name, handler);
    },
  };
}

export const numberOf = (signal: NodeJS.Signals): number => constants.signals[signal];

/** As of a shell whose program was ended by it. */
export const codeOfSignal = (signal: NodeJS.Signals): number => exitCodes.signalBase + numberOf(signal);

/** How long a server that is away may hold up the end of the command. Milliseconds. */
const tellMs = 3000;

/** Sends a signal, if that is possible soon. */
export async function trySignal(client: ProcessClient, processId: string, signal: NodeJS.Signals): Promise<void> {
  const sent = client.signal({ processId, signal: numberOf(signal) }, { timeoutMs: tellMs });
  await Promise.race([sent, sleep(tellMs)]).catch(() => undefined);
}
