import type { Socket } from 'node:net';
import type { Locks } from '@soulbox/base';
import { createLocks, phase, Secret, SoulBoxError } from '@soulbox/base';
import type { EnvdClient } from '@soulbox/envd-client';
import type { Driver, SandboxInstance } from '@soulbox/isolation';
import type { Namespace } from '@soulbox/network';
import { checkStep, isTenantState } from './lifecycle.ts';
import type { SandboxState } from './lifecycle.ts';
import type { RecordStore, HostRecord, Tenant } from './record.ts';
import { createTokenIndex } from '@soulbox/contract';
import type { Dial } from '@soulbox/contract';

/** The parts of a sandbox that exist only while its processes do. */
export interface Live {
  readonly driver: Driver;
  readonly instance: SandboxInstance;
  readonly namespace: Namespace;
  /** Opens a connection to a port inside, wherever a service listens. Throws `port_closed`. */
  readonly dial: Dial<Socket>;
  readonly envd: EnvdClient;
}

/** A sandbox in memory, one object for its whole life. */
export interface KnownSandbox {
  record: HostRecord;
  /** Undefined while it is paused, and for a moment before and after. */
  live: Live | undefined;
}

/** A sandbox that has been started. */
export interface LiveSandbox extends KnownSandbox {
  live: Live;
}

export type TenantRecord = HostRecord & { readonly tenant: Tenant };

/** A sandbox that belongs to a tenant, running or not. */
export interface TenantSandbox extends KnownSandbox {
  record: TenantRecord;
}

export type RunningSandbox = LiveSandbox & TenantSandbox;

export function isTenants(sandbox: KnownSandbox): sandbox is TenantSandbox {
  return isTenantState(sandbox.record.state) && sandbox.record.tenant !== undefined;
}

/** Whether it waits for a tenant, or is being made for a tenant that is not known yet. */
export function isSpare({ record }: KnownSandbox): boolean {
  return record.state === 'warm' || (record.state === 'restoring' && record.tenant === undefined);
}

export function isRunning(sandbox: KnownSandbox): sandbox is RunningSandbox {
  return sandbox.record.state === 'running' && isTenants(sandbox) && sandbox.live !== undefined;
}

/** Whether it is being given to a tenant, but is not announced yet. */
export function isClaimed(sandbox: KnownSandbox): sandbox is LiveSandbox {
  return sandbox.record.state === 'claiming' && sandbox.live !== undefined;
}

/** Whether its tenant sees it as paused: from the promise of a pause to the end of a resume. */
export function looksPaused({ record }: Pick<TenantSandbox, 'record'>): boolean {
  if (record.state === 'pausing') return record.work?.promised === true;
  if (record.state === 'snapshotting') return record.work?.from === 'paused';
  return record.state === 'paused' || record.state === 'resuming';
}

/** The fields that a step changes in addition to the state. */
export type RecordChange = Partial<Omit<HostRecord, 'state' | 'sandboxId' | 'formatVersion'>>;

/** All sandboxes of this host by id. Their state changes only here. */
export interface SandboxTable extends Locks {
  add(sandbox: KnownSandbox): void;
  find(sandboxId: string): KnownSandbox | undefined;
  /** The sandbox with this envd access token. */
  findByToken(token: string): KnownSandbox | undefined;
  /** The sandbox if a tenant knows it. Throws `sandbox_not_found` otherwise. */
  getTenants(sandboxId: string): TenantSandbox;
  /**
   * The sandbox if it runs for a tenant. Throws `sandbox_not_found` if no tenant knows it. Throws `illegal_transition`
   * in any other state, because a caller that gets `sandbox_not_found` forgets the sandbox.
   */
  getRunning(sandboxId: string): RunningSandbox;
  tenants(): TenantSandbox[];
  running(): RunningSandbox[];
  all(): KnownSandbox[];
  /**
   * Takes one legal step, first in memory, then on disk. The write is left out if the next server would treat the old
   * record in the same way. Throws `illegal_transition`, or `disk_full`. After `disk_full`
   * the step is undone, unless it led to `running` or `ending`.
   */
  step(sandbox: KnownSandbox, to: SandboxState, change?: RecordChange): Promise<void>;
  /** Changes the record without a step. Throws `disk_full` with nothing changed. */
  update(sandbox: KnownSandbox, change: RecordChange): Promise<void>;
  /** Like `update` for a fact. If it cannot be written, it stays in memory, and the next write includes it. */
  note(sandbox: KnownSandbox, change: RecordChange): Promise<void>;
  /** Forgets a sandbox after everything of it was removed. */
  delete(sandboxId: string): void;
  /**
   * Listeners are called in the turn in which a sandbox is added, changed or forgotten. Returns a function to
   * unsubscribe.
   */
  onChange(listener: (sandboxId: string) => void): () => void;
}

export function createSandboxTable(store: RecordStore): SandboxTable {
  const sandboxes = new Map<string, KnownSandbox>();
  const tokens = createTokenIndex();
  const writes = createLocks();
  /** The record of each sandbox that was written last. */
  const written = new WeakMap<KnownSandbox, HostRecord>();
  /**
   * Writes one record at a time for each sandbox, and always the newest. Otherwise an older one could replace a newer
   * one. `undo` is called before the next write, which must not contain what failed.
   */
  const save = async (sandbox: KnownSandbox, undo?: () => void): Promise<void> => {
    const write = async (): Promise<void> => {
      const { record } = sandbox;
      // A write of something else that waited before this one has written this change, too.
      if (written.get(sandbox) === record) return;
      try {
        await store.write(record);
        written.set(sandbox, record);
      } catch (error) {
        undo?.();
        throw error;
      }
    };
    await phase('record', async () => await writes.alone(sandbox.record.sandboxId, write));
  };
  const setRecord = (sandbox: KnownSandbox, record: HostRecord): void => {
    const isAnother = record.tenant !== sandbox.record.tenant;
    sandbox.record = record;
    if (isAnother) indexToken(sandbox);
    tellChange(record.sandboxId);
  };
  const listeners = new Set<(sandboxId: string) => void>();
  const tellChange = (sandboxId: string): void => {
    for (const listener of listeners) listener(sandboxId);
  };
  const indexToken = ({ record }: KnownSandbox): void =>
    tokens.put(record.sandboxId, record.tenant?.envdAccessToken ?? '');
  const getTenants = (sandboxId: string): TenantSandbox => {
    const sandbox = sandboxes.get(sandboxId);
    if (sandbox === undefined || !isTenants(sandbox)) throw sandboxNotFound(sandboxId);
    return sandbox;
  };
  const table: SandboxTable = {
    ...createLocks(),
    add(sandbox) {
      sandboxes.set(sandbox.record.sandboxId, sandbox);
      indexToken(sandbox);
      tellChange(sandbox.record.sandboxId);
    },
    find: (sandboxId) => sandboxes.get(sandboxId),
    findByToken(token) {
      const sandboxId = tokens.find(token);
      return sandboxId === undefined ? undefined : sandboxes.get(sandboxId);
    },
    getTenants,
    getRunning(sandboxId) {
      const sandbox = getTenants(sandboxId);
      if (isRunning(sandbox)) return sandbox;
      throw new SoulBoxError('illegal_transition', `Sandbox "${sandboxId}" is ${sandbox.record.state}, not running.`);
    },
    tenants: () => [...sandboxes.values()].filter(isTenants),
    running: () => [...sandboxes.values()].filter(isRunning),
    all: () => [...sandboxes.values()],
    async step(sandbox, to, change = {}) {
      checkStep(sandbox.record.sandboxId, sandbox.record.state, to);
      // In memory first and synchronously: of two callers that race for a step, the second must see that it was taken.
      const before = sandbox.record;
      const taken = { ...change, state: to };
      setRecord(sandbox, { ...before, ...taken });
      if (isAsRecorded(before, to)) return;
      await save(sandbox, () => {
        // A later step has built on this one.
        if (!isDoneAnyway(to) && sandbox.record.state === to)
          setRecord(sandbox, withoutChange(sandbox.record, taken, before));
      });
    },
    async update(sandbox, change) {
      const before = sandbox.record;
      setRecord(sandbox, { ...before, ...change });
      await save(sandbox, () => setRecord(sandbox, withoutChange(sandbox.record, change, before)));
    },
    async note(sandbox, change) {
      setRecord(sandbox, { ...sandbox.record, ...change });
      await save(sandbox);
    },
    delete(sandboxId) {
      sandboxes.delete(sandboxId);
      tokens.remove(sandboxId);
      tellChange(sandboxId);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return table;
}

/**
 * The record as if `change` had not been made to `before`. What was noted since then stays, also of the keys that were
 * changed.
 */
function withoutChange(record: HostRecord, change: Partial<HostRecord>, before: HostRecord): HostRecord {
  const keys = Object.keys(change) as (keyof HostRecord)[];
  const undone = new Set<string>(keys.filter((key) => record[key] === change[key]));
  return Object.fromEntries([
    ...Object.entries(record).filter(([key]) => !undone.has(key)),
    ...Object.entries(before).filter(([key]) => undone.has(key)),
  ]) as HostRecord;
}

/**
 * Whether the next server treats the record on the disk as it would treat the new one. It removes a spare of a snapshot
 * that no tenant knows, claimed or not. So a claim does not wait for the disk.
 */
function isAsRecorded({ state, tenant }: HostRecord, to: SandboxState): boolean {
  return state === 'restoring' && tenant === undefined && to === 'claiming';
}

/**
 * These steps have happened even if they cannot be recorded. An older record is then the same as after a crash before
 * the step, and recovery handles it. All other steps are intents: if they cannot be recorded they are not carried out,
 * or are recorded again.
 */
function isDoneAnyway(state: SandboxState): boolean {
  return state === 'running' || state === 'ending';
}

export function sandboxNotFound(sandboxId: string): SoulBoxError {
  return new SoulBoxError('sandbox_not_found', `Sandbox "${sandboxId.slice(0, 64)}" was not found.`);
}

/** The token in the form that the router compares. Empty text in the record means that there is none. */
export function secretOrNone(text: string): Secret | undefined {
  return text === '' ? undefined : new Secret(text);
}
