import type { FunctionSettings } from '@soulbox/contract/functions';

/**
 * How to start an engine: the arguments of `spawn`. The engine opens both sockets when it can serve, or ends with a
 * message.
 */
export interface EngineProgram {
  readonly command: string;
  readonly args: readonly string[];
  /** Written to its standard input, which is then closed. */
  readonly input: string;
  /** Contains secrets; deleted when the engine has read it. */
  readonly configFile?: string;
}

/** Paths for one start of an engine. */
export interface EnginePaths {
  readonly folder: string;
  /** Unix socket for the requests of the function. */
  readonly requests: string;
  /** Unix socket that answers any request while the engine's event loop runs. */
  readonly ping: string;
  /** Unix socket of each key-value binding, by binding name. */
  readonly kv: ReadonlyMap<string, string>;
}

export type PrepareEngine = (settings: FunctionSettings, paths: EnginePaths) => Promise<EngineProgram>;

/** A running workerd or edge-runtime. */
export interface Engine {
  readonly pid: number;
  readonly requests: string;
  /** Resolves when it answers; rejects when its connection breaks. Has no time limit: a busy engine answers late. */
  ping(): Promise<void>;
  /** Resolves when the process is gone. */
  readonly exited: Promise<void>;
  /** True after `kill`, or after it ended by itself. */
  readonly gone: boolean;
  /** Counts a request as open until the result is disposed. */
  enter(): Disposable;
  /** Ends the engine as soon as no request is open. The caller passes it no new ones. */
  retire(): void;
  kill(): void;
}

/** The error for a caller of the function when no engine is available. */
export class EngineFault extends Error {
  override readonly name = 'EngineFault';
}
