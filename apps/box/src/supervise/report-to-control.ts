import { measureOther } from '@soulbox/base';
import type { RootLogger, SupervisedProcesses } from '@soulbox/base';
import type { KeptPart } from './keep-part.ts';

const intervalMs = 10_000;

/**
 * Sends the control plane, which serves `/metrics`, the facts that only the supervisor knows: its own figures, the
 * those of the gateway, of the egress process, of the SSH process, of the process of the object store and of the services
 * that run when they are needed, restarts, and lost log lines.
 */
export function reportToControl(
  parts: Readonly<Record<'runner' | 'control' | 'gateway' | 'egress', KeptPart>> & {
    readonly ssh?: KeptPart;
    readonly objects?: KeptPart;
  },
  findWanted: () => Readonly<Record<'volumes' | 'buckets', KeptPart | undefined>>,
  logger: RootLogger,
): Disposable {
  const report = async (): Promise<void> => {
    const { gateway, egress, control, ssh, objects } = parts;
    const own = { heapUsedBytes: process.memoryUsage().heapUsed, loopLag: undefined };
    const supervisor = await measureOther(process.pid, own, logger.droppedLines());
    const wanted = Object.entries(findWanted()).flatMap(([name, part]) =>
      part === undefined ? [] : [[name, part] as const],
    );
    const [ofGateway, ofEgress, ofSsh, ofObjects, ...ofWanted] = await Promise.all(
      [gateway, egress, ssh, objects, ...wanted.map(([, part]) => part)].map(figuresOf),
    );
    const message: SupervisedProcesses = {
      processes: [
        ...(supervisor === undefined ? [] : [{ process: 'supervisor', figures: supervisor }]),
        ...(ofGateway === undefined ? [] : [{ process: 'gateway', figures: ofGateway }]),
        ...(ofEgress === undefined ? [] : [{ process: 'egress', figures: ofEgress }]),
        ...(ofSsh === undefined ? [] : [{ process: 'ssh', figures: ofSsh }]),
        ...(ofObjects === undefined ? [] : [{ process: 'objects', figures: ofObjects }]),
        ...wanted.flatMap(([process], index) => {
          const figures = ofWanted[index];
          return figures === undefined ? [] : [{ process, figures }];
        }),
      ],
      restarts: Object.entries({ ...parts, ...Object.fromEntries(wanted) }).map(([process, part]) => ({
        process,
        count: part.restarts(),
      })),
    };
    // A control plane that is being restarted receives the next report.
    await control.tell('processes', message).catch(() => undefined);
  };
  const timer = setInterval(() => void report(), intervalMs).unref();
  void report();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

async function figuresOf(part: KeptPart | undefined): ReturnType<typeof measureOther> {
  const told = part?.figures();
  return part === undefined || told === undefined ? undefined : await measureOther(part.pid(), told, 0);
}
