import { closeSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { isRunning, sleepUnlessAborted, SoulBoxError } from '@soulbox/base';
import type { Logger, ProcessIdentity } from '@soulbox/base';
import { takeDescriptor } from '@soulbox/linux/processes';
import { sendDescriptor } from '@soulbox/process';
import { callHttpService, readJson } from '@soulbox/rpc/http-call';
import type { HttpCall, HttpService } from '@soulbox/rpc/http-call';
import type { VolumeOfSandbox } from '../../registry/record.ts';
import type { KeptMount } from './kept-file.ts';

export interface HeldMount extends KeptMount {
  readonly holder: ProcessIdentity;
}

/** What differs between the two services. */
export interface ServiceKind {
  /** For messages and the log. */
  readonly noun: 'volume' | 'bucket';
  readonly unavailable: 'volumes_unavailable' | 'buckets_unavailable';
  /** Of the call that has a mount served: its path, and what is in its body besides the device. */
  orderOf(volume: VolumeOfSandbox): { readonly path: readonly string[]; readonly body: object };
  /** Whether the service keeps locks and removed files for mounts until it knows that they are gone. */
  readonly remembersMounts: boolean;
}

export const volumeService: ServiceKind = {
  noun: 'volume',
  unavailable: 'volumes_unavailable',
  remembersMounts: true,
  orderOf: ({ teamId, groupId, volumeId, isReadOnly, sizeBytes, teamBytes }) => ({
    path: [teamId, groupId, volumeId],
    body: { isReadOnly, ...(sizeBytes > 0 && { sizeBytes }), ...(teamBytes > 0 && { teamBytes }) },
  }),
};

export const bucketService: ServiceKind = {
  noun: 'bucket',
  unavailable: 'buckets_unavailable',
  remembersMounts: false,
  orderOf: ({ teamId, volumeId, isReadOnly, prefix }) => ({ path: [teamId, volumeId], body: { isReadOnly, prefix } }),
};

export interface ServiceLinkOptions {
  readonly kind: ServiceKind;
  readonly socketPath: string;
  /** Our end of the channel over which it gets devices. */
  readonly channel: number;
  readonly wake: () => void;
  readonly logger: Logger;
}

export interface ServiceLink extends AsyncDisposable {
  /** Has a mount served from now on, also by later services. Resolves when it is served. Throws the service's error. */
  serve(mount: HeldMount, how: { readonly isTakeover: boolean }): Promise<void>;
  /** The same for a mount that an earlier process may have had served; resolves at once. */
  keep(mount: HeldMount): void;
  forget(mountId: string): void;
  /** All mounts of before are known by now: services end others, whose sandboxes ended while they did not run. */
  noteComplete(): void;
  /**
   * What was written to the volume survives a crash of the host; with a mount, of a bucket, open files of it are in the
   * store. Throws the error of the service.
   */
  sync(volume: VolumeOfSandbox, mountId?: string): Promise<void>;
  /** Copies the volume. Throws the error of the service. */
  copy(volume: VolumeOfSandbox, copy: { readonly copyId: string; readonly isReadOnly: boolean }): Promise<void>;
  /** The backup that is being made gets what the volume has now. Throws the error of the service. */
  holdForBackup(volume: VolumeOfSandbox): Promise<void>;
}

const callMs = 30_000;
/** A sandbox is frozen meanwhile, and the call copies nothing. */
const holdMs = 5000;
/** Before it is asked again, after a failure. */
const pauseMs = 200;
/** Before mounts that the service has refused are given to it again. */
const againMs = 2000;
const mountIds = z.array(z.string());
/** A service that ends after it got a device takes the device with it. */
const attempts = 3;
const passing: ReadonlySet<string> = new Set(['bad_request', 'volumes_unavailable', 'buckets_unavailable']);

/**
 * Gives mounts to a service, and again to the next one if it ends: it is told that they are there only by its
 * end.
 */
export function createServiceLink({ kind, socketPath, channel, wake, logger }: ServiceLinkOptions): ServiceLink {
  const { noun, unavailable } = kind;
  const service: HttpService = {
    ...{ socketPath, wake, name: `${noun} service`, unavailable, silenceMs: 0 },
  };
  const held = new Map<string, HeldMount>();
  const stopping = new AbortController();
  let following: Promise<void> | undefined;
  /** Of the service that is followed: its end is seen. */
  let isAlive = false;
  /** Whether `held` has all mounts that exist. */
  let isAllKnown = false;

  const call = async (request: Omit<HttpCall, 'signal'>, ms = callMs): Promise<IncomingMessage> =>
    await callHttpService({ ...request, signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(ms)]) }, service);
  const hand = async (mount: HeldMount, isTakeover: boolean): Promise<void> => {
    const { mountId, fd, holder, negotiated, volume } = mount;
    const device = takeDescriptor(holder.pid, fd);
    let ticket: string;
    try {
      // Afterwards: another process may have got the pid before.
      if (!isRunning(holder)) throw new Error('The process that kept the volumes of a sandbox has ended.');
      ticket = Buffer.from(sendDescriptor(channel, device)).toString('hex');
    } finally {
      closeSync(device);
    }
    const { path: place, body } = kind.orderOf(volume);
    const order = { ticket, negotiated, isTakeover, ...body };
    const path = `/${[...place, 'mount'].map(encodeURIComponent).join('/')}?mount=${mountId}`;
    const headers = { 'content-type': 'application/json' };
    const answer = await call({ method: 'PUT', path, headers, body: textOf(order) });
    answer.resume();
  };
  const listServed = async (): Promise<ReadonlySet<string>> =>
    new Set(mountIds.parse(await readJson(await call({ method: 'GET', path: '/mounts' }))));
  /**
   * A device that is sent before the service runs would be lost, so it is asked for something first, unless it is known to
   * run.
   */
  const handSafely = async (mount: HeldMount, isTakeover: boolean): Promise<void> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        if ((attempt > 1 || isTakeover || !isAlive) && (await listServed()).has(mount.mountId)) return;
        await hand(mount, isTakeover || attempt > 1);
        return;
      } catch (error) {
        const isPassing = error instanceof SoulBoxError && passing.has(error.reason);
        if (!isPassing || attempt === attempts) throw error;
      }
    }
  };
  /** Returns whether all are served. */
  const giveMissing = async (): Promise<boolean> => {
    const served = await listServed();
    let isComplete = true;
    for (const mount of held.values()) {
      if (served.has(mount.mountId)) continue;
      // The sandbox was ended while this waited for the service.
      if (!isRunning(mount.holder)) held.delete(mount.mountId);
      else
        await handSafely(mount, true).catch((err: unknown) => {
          isComplete = false;
          logger.error({ err, mountId: mount.mountId }, `a ${noun} of a sandbox could not be served again`);
        });
    }
    return isComplete;
  };
  const tellAll = async (): Promise<void> => {
    if (!isAllKnown || !kind.remembersMounts) return;
    const headers = { 'content-type': 'application/json' };
    const answer = await call({ method: 'PUT', path: '/mounts', headers, body: textOf([...held.keys()]) });
    answer.resume();
  };
  /** Follows one service until its end. */
  const followOne = async (): Promise<void> => {
    const life = await callHttpService({ method: 'GET', path: '/alive', signal: stopping.signal }, service);
    // A service that is killed breaks it off, which is no error: the next one must not wait.
    const ended = new Promise<void>((resolve) => life.on('error', () => undefined).once('close', resolve));
    const leave = (): void => void life.destroy();
    stopping.signal.addEventListener('abort', leave);
    try {
      life.resume();
      isAlive = true;
      // Programs in sandboxes wait for it.
      while (!(await giveMissing()) && !life.closed) await sleepUnlessAborted(againMs, stopping.signal);
      await tellAll();
      await ended;
    } finally {
      isAlive = false;
      stopping.signal.removeEventListener('abort', leave);
      life.destroy();
    }
  };
  const follow = async (): Promise<void> => {
    while (held.size > 0 && !stopping.signal.aborted) {
      try {
        await followOne();
      } catch (err) {
        // oxlint-disable-next-line typescript/no-unnecessary-condition -- it changes while this waits
        if (stopping.signal.aborted) return;
        logger.warn({ err }, `the ${noun} service cannot be reached`);
        await sleepUnlessAborted(pauseMs, stopping.signal).catch(() => undefined);
      }
    }
  };
  const startFollowing = (): void => {
    following ??= follow().finally(() => (following = undefined));
  };

  return {
    async serve(mount, { isTakeover }) {
      await handSafely(mount, isTakeover);
      held.set(mount.mountId, mount);
      startFollowing();
    },
    keep(mount) {
      held.set(mount.mountId, mount);
      startFollowing();
    },
    forget: (mountId) => void held.delete(mountId),
    noteComplete() {
      isAllKnown = true;
      if (isAlive)
        void tellAll().catch((err: unknown) => logger.warn({ err }, `the ${noun} service was not told its mounts`));
    },
    async sync(volume, mountId) {
      const path = [...kind.orderOf(volume).path, 'sync'].map(encodeURIComponent).join('/');
      const query = mountId === undefined ? '' : `?mount=${mountId}`;
      const answer = await call({ method: 'POST', path: `/${path}${query}` });
      answer.resume();
    },
    async copy(volume, { copyId, isReadOnly }) {
      const path = [...kind.orderOf(volume).path, 'copy'].map(encodeURIComponent).join('/');
      const limit = volume.teamBytes > 0 ? { teamBytes: String(volume.teamBytes) } : {};
      const query = new URLSearchParams({ to: copyId, readOnly: String(isReadOnly), ...limit });
      const answer = await call({ method: 'POST', path: `/${path}?${query.toString()}` });
      answer.resume();
    },
    async holdForBackup(volume) {
      const path = [...kind.orderOf(volume).path, 'hold'].map(encodeURIComponent).join('/');
      const answer = await call({ method: 'POST', path: `/${path}` }, holdMs);
      answer.resume();
    },
    async [Symbol.asyncDispose]() {
      stopping.abort(new Error('The runner is stopping.'));
      await following;
    },
  };
}

async function* textOf(value: object): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(Buffer.from(JSON.stringify(value)));
}
