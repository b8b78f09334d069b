import type { EnvdConfig } from './config.ts';
import type { HostGate } from './init/host-token.ts';
import { createHostGate } from './init/host-token.ts';
import type { Settings } from './init/settings.ts';
import { initialSettings } from './init/settings.ts';
import type { LifeLog } from './logs/life-log.ts';
import { createLifeLog } from './logs/life-log.ts';

/** All state of envd. */
export interface Context {
  readonly config: EnvdConfig;
  readonly log: LifeLog;
  readonly hostGate: HostGate;
  /** Replaced as a whole, never changed in place. */
  settings: Settings;
}

export function createContext(config: EnvdConfig): Context {
  return { config, log: createLifeLog(), hostGate: createHostGate(config.hostTokenPath), settings: initialSettings };
}
