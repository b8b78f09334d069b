import { closeSync } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
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
import { createArrivals, readUnit, unitOf } from './arrivals.ts';
import type { Arrival, Arrivals } from './arrivals.ts';
import { argvOf, environmentOf, firstDescriptor } from './launch.ts';
import type { LaunchedPart, LaunchPart, PartExit, PartPlan } from './launch.ts';

/** For systemd to start a unit, and for its program to connect. */
const firstComeMs = 60_000;
/** How often systemd is asked about a unit that does not come back. */
const lookMs = 5000;
const systemctlMs = 10_000;
const pollMs = 50;

export interface UnitLauncher extends AsyncDisposable {
  /**
   * Gives the part to its unit, `soulbox-NAME.service`. The first call asks systemd for the unit. systemd restarts a
   * unit that ends, and later calls wait for it. They have no limit while an operator has stopped the unit, and throw
   * when systemd has given it up.
   */
  readonly launch: LaunchPart;
}

/**
 * Lets systemd start the parts of the server, each as a unit of its own with its own restrictions, control group and
 * journal. A unit connects to a socket that only root can reach, and gets the descriptors that its part needs. The
 * kernel says which unit it is. Throws `host_not_ready`, also outside soulbox.service.
 */
export async function openUnitLauncher(logger: Logger, path = unitSocketPath): Promise<UnitLauncher> {
  if ((await readUnit(process.pid)) !== 'soulbox')
    throw new SoulBoxError('host_not_ready', '--units works in soulbox.service only, a unit of the Debian package.');
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
    throw new SoulBoxError('host_not_ready', `${path} cannot be opened: ${errorFromUnknown(error).message}`);
  }
  const known = new Set<string>();
  return {
    async launch(plan) {
      const isFirst = !known.has(plan.name);
      known.add(plan.name);
      return handOut(plan, await (isFirst ? takeFirst(arrivals, plan.name) : takeNext(arrivals, plan.name)));
    },
    async [Symbol.asyncDispose]() {
      arrivals.close();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function takeFirst(arrivals: Arrivals, name: string): Promise<Arrival> {
  await askSystemd(name);
  const arrival = await arrivals.take(name, firstComeMs);
  if (arrival !== undefined) return arrival;
  throw failure(name, `has not started within ${firstComeMs / 1000} s`);
}

async function takeNext(arrivals: Arrivals, name: string): Promise<Arrival> {
  for (;;) {
    const arrival = await arrivals.take(name, lookMs);
    if (arrival !== undefined) return arrival;
    const query = ['show', '--property=ActiveState', '--value', unitOf(name)];
    const state = await run('systemctl', query, { timeoutMs: systemctlMs }).catch(() => '');
    if (state.trim() !== 'failed') continue;
    await askSystemd(name);
    throw failure(name, 'has failed');
  }
}

function failure(name: string, what: string): SoulBoxError {
  return new SoulBoxError('host_not_ready', `${unitOf(name)} ${what}. "systemctl status ${unitOf(name)}" says why.`);
}

async function askSystemd(name: string): Promise<void> {
  // systemd refuses to start a unit that has failed too often, unless this is forgotten.
  await run('systemctl', ['reset-failed', unitOf(name)], { timeoutMs: systemctlMs }).catch(() => undefined);
  try {
    await run('systemctl', ['start', '--no-block', unitOf(name)], { timeoutMs: systemctlMs });
  } catch (error) {
    throw failure(name, `cannot be started (${errorFromUnknown(error).message})`);
  }
}

async function identify(socket: Socket): Promise<Arrival | undefined> {
  const peer = readPeer(socket);
  const identity = peer?.uid === 0 ? findProcess(peer.pid) : undefined;
  if (identity === undefined) return undefined;
  const name = /^soulbox-([a-z]+)$/.exec((await readUnit(identity.pid)) ?? '')?.[1];
  // Read after the process was found: it is still the same one, so the group is its own.
  return name === undefined || !isRunning(identity) ? undefined : { name, identity, socket };
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
      try {
        if (isRunning(identity)) process.kill(identity.pid, 'SIGKILL');
      } catch {
        // It ended in this moment.
      }
    },
  };
}

/** systemd, the parent, knows and logs how it has ended. */
async function waitForEnd(identity: ProcessIdentity, channel: Socket): Promise<PartExit> {
  await new Promise((resolve) => channel.once('close', resolve));
  while (isRunning(identity)) await sleep(pollMs);
  return { code: null, signal: null };
}
