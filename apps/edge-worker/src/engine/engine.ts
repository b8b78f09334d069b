import type { FunctionSettings } from '@soulbox/contract/functions';

/** How an engine is started: what `spawn` needs. It opens both sockets when it can serve, or ends saying why. */
export interface EngineProgram {
  readonly command: string;
  readonly args: readonly string[];
  /** Written to its standard input, which is then closed. */
  readonly input: string;
  /** Holds secrets: removed when the engine has read it. */
  readonly configFile?: string;
}

/** Paths of one start of an engine. */
export interface EnginePaths {
  readonly folder: string;
  /** Unix socket for the function's requests. */
  readonly requests: string;
  /** Unix socket that answers any request as long as the engine's event loop turns. */
  readonly ping: string;
  /** Unix sockets of the key-value bindings, by binding. */
  readonly kv: ReadonlyMap<string, string>;
}

export type PrepareEngine = (settings: FunctionSettings, paths: EnginePaths) => Promise<EngineProgram>;

/** A running workerd or edge-runtime. */
export interface Engine {
  readonly pid: number;
  readonly requests: string;
  /** Resolves when it answers; rejects when its connection breaks. Waits as long as the engine is busy. */
  ping(): Promise<void>;
  /** Resolves when the process is gone. */
  readonly exited: Promise<void>;
  /** True after `kill`, or when it ended by itself. */
  readonly gone: boolean;
  kill(): void;
}

/** What a caller of the function is told when there is no engine to ask. */
export class EngineFault extends Error {
  override readonly name = 'EngineFault';
}
