import { fstatSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import { createLogger } from '@soulbox/base/logger';
import type { LogLevel, OwnFigures, RootLogger } from '@soulbox/base';
import { dieWithParent } from '@soulbox/linux/processes';
import { lowerHelperThreads } from './helper-threads.ts';
import { openMessageChannel } from './message-channel.ts';
import { returnUnusedMemory } from './return-memory.ts';
import { channelFd, orderSchema, stoppedUnitCode } from './messages.ts';
import type { Order, Report, WantedPart } from './messages.ts';

export interface RunningPart {
  /** The figures that the part reports to its supervisor. Absent: the part publishes its figures itself. */
  readonly figures?: () => OwnFigures;
  /** Reported to the supervisor. Plain JSON. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** Handlers of further orders of the supervisor, by name. */
  readonly listeners?: Readonly<Record<string, (value: unknown) => Promise<void> | void>>;
  stop(options: { keepSandboxes: boolean }): Promise<void>;
}

/** What a part can ask of its supervisor. */
export interface SupervisorOfPart {
  /** Starts a part that runs only when it is needed. May be called again. */
  want(part: WantedPart): void;
  /** Whether the next process of this part should be loaded already, because programs wait for it if this one ends. */
  standby(isWanted: boolean): void;
}

export interface PartProgram {
  /** The field `part` of its log entries. */
  readonly part: string;
  /** `settings` come from the supervisor, which has validated them. */
  start(
    settings: Readonly<Record<string, unknown>>,
    logger: RootLogger,
    supervisor: SupervisorOfPart,
  ): Promise<RunningPart>;
}

/**
 * Runs a part of the server as a process under a supervisor. Settings and reports pass over a socket that the
 * supervisor has put at `channelFd`; the log goes to standard error. Returns the exit code: after the supervisor says
 * so, after a failed start, or at once when the supervisor is gone.
 */
export async function runPart(program: PartProgram): Promise<number> {
  if (!isSocket(channelFd)) {
    process.stderr.write(`The ${program.part} is started by "soulbox up".\n`);
    return 2;
  }
  dieWithParent();
  lowerHelperThreads();
  ignoreSignals();
  let figures: RunningPart['figures'];
  const { orders, report } = openChannel(() => figures?.());
  report({ kind: 'loaded' });
  const first = await orders.next();
  if (first?.kind !== 'start') return first === undefined ? 1 : 0;
  // The next supervisor starts the unit. systemd would do it before, and wait for it before it starts the supervisor.
  const lostCode = first.unit === undefined ? 1 : stoppedUnitCode;
  const asked = { isByManager: false };
  if (first.unit !== undefined)
    process.on('SIGTERM', () => {
      // Somebody stops this unit alone.
      asked.isByManager = true;
      orders.add({ kind: 'stop', keepSandboxes: true });
    });
  const logger = createLogger({ level: (first.settings['logLevel'] ?? 'info') as LogLevel });
  let running: RunningPart;
  try {
    const started = program.start(first.settings, logger, {
      want: (part) => report({ kind: 'wants', part }),
      standby: (isWanted) => report({ kind: 'standby', isWanted }),
    });
    const outcome = await Promise.race([started, orders.lost]);
    if (outcome === undefined) return lostCode;
    running = outcome;
    figures = running.figures;
  } catch (thrown) {
    const error = errorFromUnknown(thrown);
    logger.error({ part: program.part, err: thrown }, 'the process could not start');
    report({
      kind: 'failed',
      message: error.reason === 'internal' && thrown instanceof Error ? thrown.message : error.message,
      ...(thrown instanceof SoulBoxError ? { reason: error.reason } : {}),
    });
    await orders.next();
    return 1;
  }
  const tellManager = managerOf(first);
  returnUnusedMemory();
  tellManager('READY=1');
  report({ kind: 'ready', facts: running.facts });
  for (;;) {
    const order = await orders.next();
    if (order === undefined) return lostCode;
    if (order.kind === 'stop') {
      tellManager('STOPPING=1');
      await running.stop(order);
      return first.unit === undefined || asked.isByManager ? 0 : stoppedUnitCode;
    }
    if (order.kind === 'tell') await Promise.race([obey(running, order, report), orders.lost]);
  }
}

async function obey(
  running: RunningPart,
  { what, value }: Order & { kind: 'tell' },
  report: (message: Report) => void,
): Promise<void> {
  try {
    await running.listeners?.[what]?.(value);
    report({ kind: 'told', what });
  } catch (thrown) {
    report({ kind: 'told', what, error: errorFromUnknown(thrown).message });
  }
}

/** Sends the words of sd_notify(3) to systemd, if the part is a unit. */
function managerOf({ unit }: Order & { kind: 'start' }): (words: string) => void {
  return (words) => {
    if (unit === undefined) return;
    try {
      writeSync(unit.notifyDescriptor, words);
    } catch {
      // systemd has its own time limit. A message that it does not take is no reason to stop.
    }
  };
}

/**
 * Terminals and service managers send these signals to every process. The supervisor decides what they mean and sends
 * the order.
 */
function ignoreSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => undefined);
}

interface Orders {
  /** Undefined if the supervisor is gone. */
  next(): Promise<Order | undefined>;
  add(order: Order): void;
  readonly lost: Promise<undefined>;
}

/** The supervisor is root, so this limit only makes faults visible. The code of edge functions is the largest order. */
const orderMaxBytes = 64 * 2 ** 20;

function openChannel(figures: () => OwnFigures | undefined): {
  readonly orders: Orders;
  readonly report: (message: Report) => void;
} {
  const waiting: Order[] = [];
  const lost = Promise.withResolvers<undefined>();
  let wake = (): void => undefined;
  const add = (order: Order): void => {
    waiting.push(order);
    wake();
  };
  const channel = openMessageChannel(new Socket({ fd: channelFd }), {
    messageMaxBytes: orderMaxBytes,
    listener: {
      onMessage(message) {
        const order = orderSchema.safeParse(message).data;
        // Answered out of turn, because the part may be busy for minutes with an order.
        if (order?.kind === 'alive') channel.send({ kind: 'alive', figures: figures() });
        else if (order !== undefined) add(order);
      },
      onEnd: () => lost.resolve(undefined),
    },
  });
  const next = async (): Promise<Order | undefined> => {
    while (waiting.length === 0) {
      const came = new Promise<true>((resolve) => (wake = () => resolve(true)));
      if ((await Promise.race([came, lost.promise])) === undefined) return undefined;
    }
    return waiting.shift();
  };
  return { orders: { lost: lost.promise, next, add }, report: (message) => channel.send(message) };
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}
