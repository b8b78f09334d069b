import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import { createLogger, errorFromUnknown, SoulBoxError } from '@soulbox/base';
import type { LogLevel, OwnFigures, RootLogger } from '@soulbox/base';
import { dieWithParent } from '@soulbox/linux/processes';
import { openMessageChannel } from './message-channel.ts';
import { channelFd, orderSchema } from './messages.ts';
import type { Order, Report } from './messages.ts';

export interface RunningPart {
  /** What it tells its supervisor of itself; absent: it shows its figures itself. */
  readonly figures?: () => OwnFigures;
  /** For the supervisor; plain JSON. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** What else the supervisor may tell it, by name. */
  readonly listeners?: Readonly<Record<string, (value: unknown) => Promise<void> | void>>;
  stop(options: { keepSandboxes: boolean }): Promise<void>;
}

export interface PartProgram {
  /** For the log, as field `part`. */
  readonly part: string;
  /** `settings` come from the supervisor, which has checked them. */
  start(settings: Readonly<Record<string, unknown>>, logger: RootLogger): Promise<RunningPart>;
}

/**
 * Runs a part of the server as a process under a supervisor: settings come and readiness goes over a socket that the supervisor
 * has put at `channelFd`, the log goes to standard error. Gives the exit code: when the supervisor says so, after a start that failed, or at once when the
 * supervisor is gone.
 */
export async function runPart(program: PartProgram): Promise<number> {
  if (!isSocket(channelFd)) {
    process.stderr.write(`The ${program.part} is started by "soulbox up".\n`);
    return 2;
  }
  dieWithParent();
  ignoreSignals();
  let figures: RunningPart['figures'];
  const { orders, report } = openChannel(() => figures?.());
  report({ kind: 'loaded' });
  const first = await orders.next();
  if (first?.kind !== 'start') return first === undefined ? 1 : 0;
  const logger = createLogger({ level: (first.settings['logLevel'] ?? 'info') as LogLevel });
  let running: RunningPart;
  try {
    const started = program.start(first.settings, logger);
    const outcome = await Promise.race([started, orders.lost]);
    if (outcome === undefined) return 1;
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
  report({ kind: 'ready', facts: running.facts });
  for (;;) {
    const order = await orders.next();
    if (order === undefined) return 1;
    if (order.kind === 'stop') {
      await running.stop(order);
      return 0;
    }
    if (order.kind === 'tell') await obey(running, order, report);
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

/** A terminal and a service manager send them to every process; what they mean the supervisor decides, and says. */
function ignoreSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => undefined);
}

interface Orders {
  /** Undefined: the supervisor is gone. */
  next(): Promise<Order | undefined>;
  readonly lost: Promise<undefined>;
}

/** The supervisor is root: what it sends is bounded only so that a fault shows. The code for edge functions is the largest. */
const orderMaxBytes = 64 * 2 ** 20;

function openChannel(figures: () => OwnFigures | undefined): {
  readonly orders: Orders;
  readonly report: (message: Report) => void;
} {
  const waiting: Order[] = [];
  const lost = Promise.withResolvers<undefined>();
  let wake = (): void => undefined;
  const channel = openMessageChannel(new Socket({ fd: channelFd }), {
    messageMaxBytes: orderMaxBytes,
    listener: {
      onMessage(message) {
        const order = orderSchema.safeParse(message).data;
        // Not in turn: the part may be at work on an order that takes minutes.
        if (order?.kind === 'alive') channel.send({ kind: 'alive', figures: figures() });
        else if (order !== undefined) waiting.push(order);
        wake();
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
  return { orders: { lost: lost.promise, next }, report: (message) => channel.send(message) };
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}
