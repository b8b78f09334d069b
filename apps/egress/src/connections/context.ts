import type { Logger } from '@soulbox/base';
import type { ConnectionLog } from '../log/connection-log.ts';
import type { PolicyTable } from '../policies/policy-table.ts';
import type { Dial } from '../upstream/dialer.ts';
import type { Interceptor } from './interceptor.ts';
import type { StallBudget } from './stall-budget.ts';

/** What all connections share. */
export interface ConnectionContext {
  readonly table: PolicyTable;
  readonly dial: Dial;
  /** Whether any sandbox may reach this address. */
  readonly isOpen: (address: string) => boolean;
  readonly interceptor: Interceptor;
  readonly log: ConnectionLog;
  readonly stalls: StallBudget;
  readonly limits: ConnectionLimits;
  readonly logger: Logger;
}

export interface ConnectionLimits {
  /** Open connections of all sandboxes. */
  readonly connections: number;
  /** Open connections of the sandboxes of one team. */
  readonly teamConnections: number;
  /** How long a connection has to send the bytes from which it is judged. Milliseconds. */
  readonly firstBytesMs: number;
  /** How long a connection may be without a byte in either direction. Milliseconds. */
  readonly idleMs: number;
  /** The same, once one side has ended its direction. */
  readonly halfClosedMs: number;
}

export const connectionLimits: ConnectionLimits = {
  connections: 10_000,
  teamConnections: 2500,
  firstBytesMs: 10_000,
  // Like the kernel's own limit for connections that it translates would be, but not five days.
  idleMs: 3_600_000,
  halfClosedMs: 300_000,
};
