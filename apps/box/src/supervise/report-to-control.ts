import { measureOther } from '@soulbox/base';
import type { RootLogger, SupervisedProcesses } from '@soulbox/base';
import type { KeptPart } from './keep-part.ts';

const intervalMs = 10_000;

/**
 * Sends the control plane, which serves `/metrics`, the facts that only the supervisor knows: its own figures, the
 * those of the gateway and of the egress process, restarts, and lost log lines.
 */
export function reportToControl(
  parts: Readonly<Record<'runner' | 'control' | 'gateway' | 'egress', KeptPart>>,
  logger: RootLogger,
): Disposable {
  const report = async (): Promise<void> => {
    const { gateway, egress, control } = parts;
    const own = { heapUsedBytes: process.memoryUsage().heapUsed, loopLag: undefined };
    const supervisor = await measureOther(process.pid, own, logger.droppedLines());
    const [ofGateway, ofEgress] = await Promise.all([figuresOf(gateway), figuresOf(egress)]);
    const message: SupervisedProcesses = {
      processes: [
        ...(supervisor === undefined ? [] : [{ process: 'supervisor', figures: supervisor }]),
        ...(ofGateway === undefined ? [] : [{ process: 'gateway', figures: ofGateway }]),
        ...(ofEgress === undefined ? [] : [{ process: 'egress', figures: ofEgress }]),
      ],
      restarts: Object.entries(parts).map(([process, part]) => ({ process, count: part.restarts() })),
    };
    // A control plane that is being restarted receives the next report.
    await control.tell('processes', message).catch(() => undefined);
  };
  const timer = setInterval(() => void report(), intervalMs).unref();
  void report();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

async function figuresOf(part: KeptPart): ReturnType<typeof measureOther> {
  const told = part.figures();
  return told === undefined ? undefined : await measureOther(part.pid(), told, 0);
}
