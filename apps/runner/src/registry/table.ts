import type { Locks } from '@soulbox/base';
import { createLocks, phase, Secret, SoulBoxError } from '@soulbox/base';
import type { EnvdClient } from '@soulbox/envd-client';
import type { Driver, SandboxInstance } from '@soulbox/isolation';
import type { Namespace } from '@soulbox/network';
import type { Dial } from '../envd/dial.ts';
import { checkStep, isTenantState } from './lifecycle.ts';
import type { SandboxState } from './lifecycle.ts';
import type { RecordStore, SandboxRecord, Tenant } from './record.ts';
import { createTokenIndex } from '@soulbox/contract';

/** What exists of a sandbox only while its processes do. */
export interface Live {
  readonly driver: Driver;
  readonly instance: SandboxInstance;
  readonly namespace: Namespace;
  /** Opens a connection to a port inside, wherever a service listens. Throws `port_closed`. */
  readonly dial: Dial;
  readonly envd: EnvdClient;
}

/** A sandbox in memory, one object for its whole life. Its record on disk is always at least as far as this. */
export interface KnownSandbox {
  record: SandboxRecord;
  /** Undefined while it is paused, and for a moment before and after. */
  live: Live | undefined;
}

/** A sandbox that has been started. */
export interface LiveSandbox extends KnownSandbox {
  live: Live;
}

export type TenantRecord = SandboxRecord & { readonly tenant: Tenant };

/** A sandbox that belongs to a tenant, running or not. */
export interface TenantSandbox extends KnownSandbox {
  record: TenantRecord;
}

export type RunningSandbox = LiveSandbox & TenantSandbox;

export function isTenants(sandbox: KnownSandbox): sandbox is TenantSandbox {
  return isTenantState(sandbox.record.state) && sandbox.record.tenant !== undefined;
}

/** Whether it waits for a tenant, or is being made for one that is not known yet. */
export function isSpare({ record }: KnownSandbox): boolean {
  return record.state === 'warm' || (record.state === 'restoring' && record.tenant === undefined);
}

export function isRunning(sandbox: KnownSandbox): sandbox is RunningSandbox {
  return sandbox.record.state === 'running' && isTenants(sandbox) && sandbox.live !== undefined;
}

/** Whether it is being given to a tenant, who is not told of it yet. */
export function isClaimed(sandbox: KnownSandbox): sandbox is LiveSandbox {
  return sandbox.record.state === 'claiming' && sandbox.live !== undefined;
}

/** Whether its tenant is told that it is paused: from the promise of a pause to the end of a resume. */
export function looksPaused({ record }: Pick<TenantSandbox, 'record'>): boolean {
  if (record.state === 'pausing') return record.work?.promised === true;
  if (record.state === 'snapshotting') return record.work?.from === 'paused';
  return record.state === 'paused' || record.state === 'resuming';
}

/** What a step changes besides the state. */
export type RecordChange = Partial<Omit<SandboxRecord, 'state' | 'sandboxId' | 'formatVersion'>>;

/** Every sandbox of this host by id, and the one place where their state changes. */
export interface SandboxTable extends Locks {
  add(sandbox: KnownSandbox): void;
  find(sandboxId: string): KnownSandbox | undefined;
  /** The sandbox with this access token of envd's. */
  findByToken(token: string): KnownSandbox | undefined;
  /** The sandbox if a tenant knows it; throws `sandbox_not_found` otherwise. */
  getTenants(sandboxId: string): TenantSandbox;
  /**
   * The sandbox if it runs for a tenant. Throws `sandbox_not_found` if no tenant knows it, and `illegal_transition` in any other
   * state: who is told that a sandbox is not there strikes it off.
   */
  getRunning(sandboxId: string): RunningSandbox;
  tenants(): TenantSandbox[];
  running(): RunningSandbox[];
  all(): KnownSandbox[];
  /** Takes one legal step: in memory at once, then on disk. Throws `illegal_transition`, and `disk_full` with the step not taken. */
  step(sandbox: KnownSandbox, to: SandboxState, change?: RecordChange): Promise<void>;
  /** Changes the record without a step. Throws `disk_full` with nothing changed. */
  update(sandbox: KnownSandbox, change: RecordChange): Promise<void>;
  /** The same for what is so already: when it cannot be written it still holds in memory, and the next write brings it along. */
  note(sandbox: KnownSandbox, change: RecordChange): Promise<void>;
  /** Forgets a sandbox that is wholly gone. */
  delete(sandboxId: string): void;
  /** Called in the same turn as a sandbox is added, changed or forgotten. Gives the unsubscribe. */
  onChange(listener: (sandboxId: string) => void): () => void;
}

export function createSandboxTable(store: RecordStore): SandboxTable {
  const sandboxes = new Map<string, KnownSandbox>();
  const tokens = createTokenIndex();
  const writes = createLocks();
  /** One at a time for each sandbox, and always the newest: of two that overtake each other the older one would stay. */
  const save = async (sandbox: KnownSandbox): Promise<void> => {
    await phase(
      'record',
      async () => await writes.alone(sandbox.record.sandboxId, async () => await store.write(sandbox.record)),
    );
  };
  const setRecord = (sandbox: KnownSandbox, record: SandboxRecord): void => {
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
      // In memory first and without a wait: of two callers that race for a step the second must see it taken.
      const before = sandbox.record;
      const after = { ...before, ...change, state: to };
      setRecord(sandbox, after);
      try {
        await save(sandbox);
      } catch (error) {
        if (!isDoneAnyway(to) && sandbox.record === after) setRecord(sandbox, before);
        throw error;
      }
    },
    async update(sandbox, change) {
      const before = sandbox.record;
      const after = { ...before, ...change };
      setRecord(sandbox, after);
      try {
        await save(sandbox);
      } catch (error) {
        if (sandbox.record === after) setRecord(sandbox, before);
        throw error;
      }
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
 * All other steps are intents, of which nothing is done when they cannot be noted, or can be noted once more. A record that says
 * less than this is what a crash before the step leaves, and is recovered from as such.
 */
function isDoneAnyway(state: SandboxState): boolean {
  return state === 'running' || state === 'ending';
}

export function sandboxNotFound(sandboxId: string): SoulBoxError {
  return new SoulBoxError('sandbox_not_found', `Sandbox "${sandboxId.slice(0, 64)}" was not found.`);
}

/** Tokens as the router compares them; empty text in the record means there is none. */
export function secretOrNone(text: string): Secret | undefined {
  return text === '' ? undefined : new Secret(text);
}
