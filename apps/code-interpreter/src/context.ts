import type { Config } from './config.ts';
import type { ContextTable } from './contexts/context-table.ts';
import { createContextTable } from './contexts/context-table.ts';
import { createKernelStarter } from './kernels/languages.ts';

/** All state of the server. */
export interface Context {
  readonly config: Config;
  readonly contexts: ContextTable;
}

export function createContext(config: Config): Context {
  return { config, contexts: createContextTable(createKernelStarter(config), config.home) };
}
