import { closeSync } from 'node:fs';
import { SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { createWriteBuffers, serve } from '@soulbox/fuse';
import type { FuseFs, Negotiated, Serving } from '@soulbox/fuse';
import { mountsMax, teamMountsMax, writeBuffersMax } from './limits.ts';

/** A mount that a service is told to serve. */
export interface MountOrder {
  /** Its name, which stays the same when another process takes it over. */
  readonly mount: string;
  /** The device. Others have it too, so the mount outlives this process. */
  readonly fd: number;
  readonly negotiated: Negotiated;
  /** Another process has handled requests of it. */
  readonly isTakeover: boolean;
}

/** The mounts that this process serves. Disposing stops the serving and leaves the mounts to the next process. */
export interface Mounts<Order extends MountOrder> extends AsyncDisposable {
  /**
   * Serves the mount until it is gone. Returns when it is served, also if it was already. The descriptor belongs to this
   * call, also after an error. Throws `limit_exceeded`, `shutting_down`, and what `run` throws before it serves.
   */
  serve(order: Order): Promise<void>;
  list(): readonly string[];
}

/** One mount, for the code that has its contents. */
export interface MountWork {
  readonly logger: Logger;
  /** Serves the device. From then on the order counts as carried out. */
  serve(fs: FuseFs): Promise<Serving>;
  /** `stopping`: this process ends, and everything that it has begun is done. `gone`: the mount is. */
  waitForEnd(serving: Serving): Promise<'gone' | 'stopping'>;
}

export interface MountsOptions<Order extends MountOrder> {
  /** What is mounted, for messages: `volume`. */
  readonly noun: string;
  /** Whether two orders are about the same contents. */
  isSame(one: Order, other: Order): boolean;
  /** Whose mount it is: one team does not get all that there are. */
  teamOf(order: Order): string;
  /** For the log. */
  fieldsOf(order: Order): Readonly<Record<string, string>>;
  /** Opens the contents, serves them, and returns when the mount is not needed here any more. */
  run(order: Order, work: MountWork): Promise<void>;
  /** Called with the number of mounts after each change. */
  readonly onMounts?: (count: number) => void;
  readonly logger: Logger;
}

/** A mount while it is served. */
interface Served<Order> {
  readonly order: Order;
  readonly started: Promise<void>;
  /** When this process has nothing to do with it any more. Never rejects. */
  readonly ended: Promise<void>;
}

export function createMounts<Order extends MountOrder>(options: MountsOptions<Order>): Mounts<Order> {
  const { noun, onMounts = () => undefined, logger } = options;
  const served = new Map<string, Served<Order>>();
  const stopping = Promise.withResolvers<'stopping'>();
  const writeBuffers = createWriteBuffers(writeBuffersMax);
  let isStopping = false;

  const check = (wanted: Order): void => {
    if (isStopping) throw new SoulBoxError('shutting_down', 'The server is stopping. Retry in a moment.');
    if (served.size >= mountsMax)
      throw new SoulBoxError('limit_exceeded', `The server has ${mountsMax} mounts of ${noun}s. Delete sandboxes.`);
    const teamId = options.teamOf(wanted);
    const ofTeam = [...served.values()].filter(({ order }) => options.teamOf(order) === teamId).length;
    if (ofTeam >= teamMountsMax)
      throw new SoulBoxError('limit_exceeded', `The team has ${teamMountsMax} mounts of ${noun}s. Delete sandboxes.`);
  };
  const workOf = (order: Order, started: PromiseWithResolvers<undefined>, device: Device): MountWork => {
    const log = logger.child({ ...options.fieldsOf(order), mount: order.mount });
    return {
      logger: log,
      async serve(fs) {
        const { fd, negotiated, isTakeover } = order;
        const onFault = (err: unknown): void => log.warn({ err }, `a call of a mount of a ${noun} failed`);
        const serving = await serve(fs, { fd, negotiated, isTakeover }, { reader: 'poll', onFault, writeBuffers });
        device.take();
        started.resolve(undefined);
        return serving;
      },
      async waitForEnd(serving) {
        const how = await Promise.race([serving.closed.then(() => 'gone' as const), stopping.promise]);
        if (how === 'stopping') await serving.stop();
        return how;
      },
    };
  };
  const begin = (order: Order): Served<Order> => {
    const started = Promise.withResolvers<undefined>();
    const device = ownDevice(order);
    const work = workOf(order, started, device);
    const run = async (): Promise<void> => {
      try {
        await options.run(order, work);
      } catch (error) {
        started.reject(error);
        work.logger.error({ err: error }, `a mount of a ${noun} is not served`);
      } finally {
        device.closeIfOwn();
        served.delete(order.mount);
        onMounts(served.size);
      }
    };
    return { order, started: started.promise, ended: run() };
  };
  return {
    async serve(order) {
      const present = served.get(order.mount);
      try {
        if (present === undefined) check(order);
        else if (!options.isSame(present.order, order))
          throw new SoulBoxError('bad_request', `The mount is one of another ${noun}.`);
      } catch (error) {
        closeSync(order.fd);
        throw error;
      }
      if (present !== undefined) {
        closeSync(order.fd);
        await present.started;
        return;
      }
      const one = begin(order);
      served.set(order.mount, one);
      onMounts(served.size);
      await one.started;
    },
    list: () => [...served.keys()],
    async [Symbol.asyncDispose]() {
      isStopping = true;
      stopping.resolve('stopping');
      await Promise.all([...served.values()].map(({ ended }) => ended));
    },
  };
}

/** The device, until something else closes it. */
interface Device {
  /** Gives it to `serve`, which closes it. */
  take(): number;
  closeIfOwn(): void;
}

function ownDevice({ fd }: MountOrder): Device {
  let isOwn = true;
  const take = (): number => {
    isOwn = false;
    return fd;
  };
  return {
    take,
    closeIfOwn: () => {
      if (isOwn) closeSync(take());
    },
  };
}
