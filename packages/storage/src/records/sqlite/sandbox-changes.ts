import type { DatabaseSync } from 'node:sqlite';
import type { Cause } from '@soulbox/contract';
import { eventOfEnd, eventOfReturn, eventsOfChange } from '../lifecycle-event.ts';
import type { ReportedSandbox, SandboxRecord } from '../sandbox-record.ts';
import type { EventLog } from './event-log.ts';
import { rowFromSandbox, sandboxFromRow, writeSandboxSql } from './sandbox-row.ts';

/** The possible changes of a row, each with its events. All must be called inside a transaction of the log. */
export interface SandboxChanges {
  put(sandbox: ReportedSandbox, now: number): void;
  /** False if nothing changed. */
  end(id: string, cause: Cause, endedAt: number): boolean;
  /** False if nothing changed. */
  takeBack(sandbox: ReportedSandbox, now: number): boolean;
}

export function sandboxChanges(db: DatabaseSync, log: EventLog): SandboxChanges {
  const byId = db.prepare('SELECT * FROM sandboxes WHERE id = ?');
  const write = db.prepare(writeSandboxSql);
  const find = (id: string): SandboxRecord | undefined => {
    const row = byId.get(id);
    return row === undefined ? undefined : sandboxFromRow(row);
  };

  return {
    put: (sandbox, now) => {
      const before = find(sandbox.id);
      if (before !== undefined && !isNews(before, sandbox)) return;
      const after = { ...sandbox, executionStartedAt: executionStart(before, sandbox) };
      write.run(...rowFromSandbox(after));
      for (const event of eventsOfChange(before, after, now)) log.append(event);
    },
    end: (id, cause, endedAt) => {
      const before = find(id);
      if (before === undefined) return false;
      const learned = before.state === 'ended' && before.cause === 'lost' && cause !== 'lost';
      if (before.state === 'ended' && !learned) return false;
      const after = { ...before, state: 'ended', cause, stateSince: endedAt } as const;
      write.run(...rowFromSandbox(after));
      // Its end was already recorded, with the cause that was known then.
      if (!learned) log.append(eventOfEnd(before, after));
      return true;
    },
    takeBack: (sandbox, now) => {
      const before = find(sandbox.id);
      if (before?.state !== 'ended' || before.cause !== 'lost' || before.teamId !== sandbox.teamId) return false;
      const after = { ...sandbox, executionStartedAt: executionStart(before, sandbox) };
      write.run(...rowFromSandbox(after));
      log.append(eventOfReturn(after, now));
      return true;
    },
  };
}

function isNews(before: SandboxRecord, sandbox: ReportedSandbox): boolean {
  return before.state !== 'ended' && before.teamId === sandbox.teamId && sandbox.stateSince >= before.stateSince;
}

function executionStart(before: SandboxRecord | undefined, sandbox: ReportedSandbox): number {
  if (sandbox.state === 'running') return sandbox.stateSince;
  return before?.executionStartedAt ?? sandbox.startedAt;
}
