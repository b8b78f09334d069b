import { closeSync } from 'node:fs';
import { chmod, readFile, rm } from 'node:fs/promises';
import { createServer, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorFromUnknown, findProcess, isRunning, run, SoulBoxError } from '@soulbox/base';
import type { Logger, ProcessIdentity } from '@soulbox/base';
import { lastErrno, SystemCallError } from '@soulbox/linux/libc';
import { addressFamily, createSocketPair, descriptorOf, socketType } from '@soulbox/linux/sockets';
import { sendMessage } from '@soulbox/linux/unix-messages';
import { unitSocketPath } from '@soulbox/process/unit-socket';
import type { UnitLaunch } from '@soulbox/process/unit-socket';
import { readPeer } from '@soulbox/rpc';
import { argvOf, environmentOf, firstDescriptor } from './launch.ts';
import type { LaunchedPart, LaunchPart, PartExit, PartPlan } from './launch.ts';

/** For systemd to start a unit, and for its program to connect. */
const firstComeMs = 60_000;
const pollMs = 50;

export interface UnitLauncher extends AsyncDisposable {
  /**
   * Gives the part to its unit, `soulbox-NAME.service`, and asks systemd for the unit the first time. systemd restarts
   * a unit that fails; later calls wait for it without limit, because an operator may have stopped it.
   */
  readonly launch: LaunchPart;
}

/**
 * Lets systemd start the parts of the server, each as a unit of its own with its own restrictions, control group and
 * journal. A unit connects to a socket that only root can reach, and gets the descriptors that its part needs. The
 * kernel says which unit it is. Throws `host_not_ready`.
 */
export async function openUnitLauncher(logger: Logger, path = unitSocketPath): Promise<UnitLauncher> {
  const arrivals = createArrivals();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    void identify(socket).then((arrival) => {
      if (arrival === undefined) {
        logger.warn({ peer: readPeer(socket) }, 'a process that is no unit of the server was refused');
        socket.destroy();
      } else arrivals.add(arrival);
    });
  });
  await rm(path, { force: true });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    await chmod(path, 0o600);
  } catch (error) {
    const { message } = errorFromUnknown(error);
    throw new SoulBoxError(
      'host_not_ready',
      `${path} cannot be opened, which systemd prepares for --units: ${message}`,
    );
  }
  const known = new Set<string>();
  return {
    async launch(plan) {
      const isFirst = !known.has(plan.name);
      known.add(plan.name);
      if (isFirst) await askSystemd(plan.name);
      const arrival = await arrivals.take(plan.name, isFirst ? firstComeMs : undefined);
      return handOut(plan, arrival);
    },
    async [Symbol.asyncDispose]() {
      arrivals.close();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function askSystemd(name: string): Promise<void> {
  await run('systemctl', ['start', '--no-block', unitOf(name)], { timeoutMs: firstComeMs }).catch((error: unknown) => {
    throw new SoulBoxError(
      'host_not_ready',
      `systemd does not start ${unitOf(name)}: ${errorFromUnknown(error).message}`,
    );
  });
}

const unitOf = (name: string): string => `soulbox-${name}.service`;

/** A unit that waits for its part. */
interface Arrival {
  readonly name: string;
  readonly identity: ProcessIdentity;
  readonly socket: Socket;
}

async function identify(socket: Socket): Promise<Arrival | undefined> {
  const peer = readPeer(socket);
  const identity = peer?.uid === 0 ? findProcess(peer.pid) : undefined;
  if (identity === undefined) return undefined;
  const groups = await readFile(`/proc/${identity.pid}/cgroup`, 'utf8').catch(() => '');
  const name = /\/soulbox-([a-z]+)\.service$/m.exec(groups)?.[1];
  // Read after the process was found: it is still the same one, so the group is its own.
  return name === undefined || !isRunning(identity) ? undefined : { name, identity, socket };
}

interface Arrivals {
  add(arrival: Arrival): void;
  /** Rejects after `timeoutMs`. */
  take(name: string, timeoutMs: number | undefined): Promise<Arrival>;
  /** Sends all waiting units away. */
  close(): void;
}

/** At most one unit waits for each part: a newer one replaces one that has ended meanwhile. */
function createArrivals(): Arrivals {
  const waiting = new Map<string, Arrival>();
  const wanted = new Map<string, (arrival: Arrival) => void>();
  return {
    add(arrival) {
      const { name } = arrival;
      const want = wanted.get(name);
      wanted.delete(name);
      if (want !== undefined) {
        want(arrival);
        return;
      }
      waiting.get(name)?.socket.destroy();
      waiting.set(name, arrival);
    },
    async take(name, timeoutMs) {
      const present = waiting.get(name);
      waiting.delete(name);
      if (present !== undefined && isRunning(present.identity)) return present;
      const { promise, resolve, reject } = Promise.withResolvers<Arrival>();
      wanted.set(name, resolve);
      const giveUp = (): void => {
        wanted.delete(name);
        const how = `"systemctl status ${unitOf(name)}" says why`;
        reject(
          new SoulBoxError(
            'host_not_ready',
            `${unitOf(name)} has not started within ${(timeoutMs ?? 0) / 1000} s. ${how}.`,
          ),
        );
      };
      const timer = timeoutMs === undefined ? undefined : setTimeout(giveUp, timeoutMs);
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
      }
    },
    close() {
      for (const { socket } of waiting.values()) socket.destroy();
      waiting.clear();
    },
  };
}

/** Sends the part to the unit, whose process becomes it. */
function handOut(plan: PartPlan, { identity, socket }: Arrival): LaunchedPart {
  const [ours, theirs] = createSocketPair(addressFamily.unix, socketType.stream);
  try {
    const inherited = [theirs, ...plan.descriptors];
    // The unit adds its connection to systemd.
    const launch: UnitLaunch = { argv: argvOf(plan, inherited.length + 1), environment: environmentOf(plan) };
    const line = Buffer.from(`${JSON.stringify(launch)}\n`);
    const sent = sendMessage(descriptorOf(socket), line, inherited, 0);
    // A unit that has ended meanwhile comes again: its part counts as crashed.
    if (sent < 0) throw new SystemCallError('sendmsg', lastErrno());
  } catch (error) {
    closeSync(ours);
    throw error;
  } finally {
    closeSync(theirs);
    socket.destroy();
  }
  const channel = new Socket({ fd: ours, readable: true, writable: true });
  return {
    pid: identity.pid,
    channel,
    exited: waitForEnd(identity, channel),
    unit: { notifyDescriptor: firstDescriptor + plan.descriptors.length },
    kill() {
      if (isRunning(identity)) process.kill(identity.pid, 'SIGKILL');
    },
  };
}

/** systemd, the parent, knows and logs how it has ended. */
async function waitForEnd(identity: ProcessIdentity, channel: Socket): Promise<PartExit> {
  await new Promise((resolve) => channel.once('close', resolve));
  while (isRunning(identity)) await sleep(pollMs);
  return { code: null, signal: null };
}
