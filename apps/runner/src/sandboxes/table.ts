import { Secret, SoulBoxError } from '@soulbox/base';
import type { SandboxInstance } from '@soulbox/isolation';
import type { Namespace } from '@soulbox/network';
import type { EnvdClient } from '../envd/envd-client.ts';
import { checkStep } from './lifecycle.ts';
import type { SandboxState } from './lifecycle.ts';
import type { RecordStore, SandboxRecord, Tenant } from './record.ts';

/** A sandbox that has been started, in memory. Its record on disk is always at least as far as this. */
export interface LiveSandbox {
  record: SandboxRecord;
  readonly instance: SandboxInstance;
  readonly namespace: Namespace;
  readonly envd: EnvdClient;
}

/** A sandbox that belongs to a tenant. */
export interface TenantSandbox extends LiveSandbox {
  record: SandboxRecord & { tenant: Tenant };
}

export function isTenants(sandbox: LiveSandbox): sandbox is TenantSandbox {
  return sandbox.record.state === 'running' && sandbox.record.tenant !== undefined;
}

/** Every live sandbox of this host by id, and the one place where their state changes. */
export interface SandboxTable {
  add(sandbox: LiveSandbox): void;
  find(sandboxId: string): LiveSandbox | undefined;
  /** The sandbox if it runs for a tenant; throws `sandbox_not_found` otherwise. */
  getRunning(sandboxId: string): TenantSandbox;
  running(): TenantSandbox[];
  all(): LiveSandbox[];
  /** Takes one legal step: in memory at once, then on disk. Throws `illegal_transition`. */
  step(sandbox: LiveSandbox, to: SandboxState, tenant?: Tenant): Promise<void>;
  /** Replaces what is kept of the tenant, without a step. */
  update(sandbox: TenantSandbox, tenant: Tenant): Promise<void>;
  /** Forgets a sandbox that is wholly gone. */
  delete(sandboxId: string): void;
}

export function createSandboxTable(store: RecordStore): SandboxTable {
  const sandboxes = new Map<string, LiveSandbox>();
  return {
    add(sandbox) {
      sandboxes.set(sandbox.record.sandboxId, sandbox);
    },
    find: (sandboxId) => sandboxes.get(sandboxId),
    getRunning(sandboxId) {
      const sandbox = sandboxes.get(sandboxId);
      if (sandbox === undefined || !isTenants(sandbox)) throw sandboxNotFound(sandboxId);
      return sandbox;
    },
    running: () => [...sandboxes.values()].filter(isTenants),
    all: () => [...sandboxes.values()],
    async step(sandbox, to, tenant) {
      checkStep(sandbox.record.sandboxId, sandbox.record.state, to);
      // In memory first and without a wait: of two callers that race for a step the second must see it taken.
      sandbox.record = { ...sandbox.record, state: to, ...(tenant === undefined ? {} : { tenant }) };
      await store.write(sandbox.record);
    },
    async update(sandbox, tenant) {
      sandbox.record = { ...sandbox.record, tenant };
      await store.write(sandbox.record);
    },
    delete(sandboxId) {
      sandboxes.delete(sandboxId);
    },
  };
}

export function sandboxNotFound(sandboxId: string): SoulBoxError {
  return new SoulBoxError('sandbox_not_found', `Sandbox "${sandboxId.slice(0, 64)}" was not found.`);
}

/** Tokens as the router compares them; empty text in the record means there is none. */
export function secretOrNone(text: string): Secret | undefined {
  return text === '' ? undefined : new Secret(text);
}
