import type { EnvdConfig } from './config.ts';
import type { HostGate } from './host-gate.ts';
import { createHostGate } from './host-gate.ts';
import type { Settings } from './settings.ts';
import { initialSettings } from './settings.ts';
import type { LifeLog } from './life-log.ts';
import { createLifeLog } from './life-log.ts';
import type { LogBudget } from './output-log/log-budget.ts';
import { createLogBudget, limitsOnDisk } from './output-log/log-budget.ts';
import type { OutputAllowance } from './process/logged-output.ts';
import { createOutputAllowance } from './process/logged-output.ts';
import type { ProcessTable } from './process/process-table.ts';
import { createProcessTable } from './process/process-table.ts';
import { kernelRandomId } from './sys/kernel-random.ts';
import type { Reaper } from './sys/reaper.ts';
import { startReaper } from './sys/reaper.ts';
import type { Users } from './users/users.ts';
import { createUsers } from './users/users.ts';
import type { WatchHub } from './watch/watch-hub.ts';
import { createWatchHub } from './watch/watch-hub.ts';
import type { WatcherTable } from './watch/watcher-table.ts';
import { createWatcherTable } from './watch/watcher-table.ts';

/** Distinguishes the ids of processes from those that clients choose. */
const idPrefixLength = 12;

/** The complete state of envd. */
export interface Context {
  readonly config: EnvdConfig;
  readonly log: LifeLog;
  readonly hostGate: HostGate;
  readonly users: Users;
  readonly reaper: Reaper;
  readonly processes: ProcessTable;
  readonly logBudget: LogBudget;
  readonly outputAllowance: OutputAllowance;
  readonly watchHub: WatchHub;
  readonly watchers: WatcherTable;
  /** Always replaced as a whole, never modified. */
  settings: Settings;
  /** Where programs find the authority of the sandbox. Variables of the tenant override them. Replaced as a whole. */
  trustVariables: Readonly<Record<string, string>>;
}

export function createContext(config: EnvdConfig): Context {
  const log = createLifeLog();
  return {
    config,
    log,
    hostGate: createHostGate(config.hostTokenPath),
    users: createUsers(),
    reaper: startReaper(),
    processes: createProcessTable(() => kernelRandomId(idPrefixLength)),
    // The folder of the logs need not exist yet.
    logBudget: createLogBudget(limitsOnDisk('/')),
    outputAllowance: createOutputAllowance(),
    watchHub: createWatchHub(log),
    watchers: createWatcherTable(),
    settings: initialSettings,
    trustVariables: {},
  };
}
