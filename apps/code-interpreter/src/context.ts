import type { Config } from './config.ts';
import { ContextTable } from './contexts/context-table.ts';
import { createKernelStarter } from './kernels/languages.ts';

/** All state of the server. */
export interface Context {
  readonly config: Config;
  readonly contexts: ContextTable;
}

export function createContext(config: Config): Context {
  return { config, contexts: new ContextTable(createKernelStarter(config), config.home) };
}
