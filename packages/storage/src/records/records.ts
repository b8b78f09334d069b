import type { ApiKeyRecords } from './api-keys.ts';
import type { SandboxRecords } from './sandboxes.ts';
import type { TeamRecords } from './teams.ts';

/**
 * What the control plane remembers: who exists and who owns what. Every time is in milliseconds since the Unix epoch.
 * All methods are asynchronous so that a database on another machine can stand behind them.
 */
export interface Records extends AsyncDisposable {
  readonly teams: TeamRecords;
  readonly apiKeys: ApiKeyRecords;
  readonly sandboxes: SandboxRecords;
}
