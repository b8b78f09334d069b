import { segment, callApi } from '../api.ts';
import { createCommands } from '../commands.ts';
import type { Commands } from '../commands.ts';
import { connectionFrom, withOptions } from '../config.ts';
import type { Connection, ConnectionOptions, RequestOptions } from '../config.ts';
import { openEnvd, portUrl } from '../envd.ts';
import type { Envd, SandboxAccess } from '../envd.ts';
import { rethrow, SoulBoxError } from '../error.ts';
import { createFiles } from '../files.ts';
import type { Files } from '../files.ts';
import type { Paginator } from '../pages.ts';
import { createProcesses } from '../processes.ts';
import type { Processes } from '../processes.ts';
import { createPty } from '../pty.ts';
import type { Pty } from '../pty.ts';
import { connectSandbox, createSandbox, seconds } from './create.ts';
import type { SandboxConnectOptions, SandboxOptions } from './create.ts';
import { fileUrl } from './file-urls.ts';
import type { FileUrlOptions } from './file-urls.ts';
import { getInfo, listSandboxes } from './info.ts';
import type { SandboxDetail, SandboxInfo, SandboxListOptions } from './info.ts';
import { getMetrics } from './metrics.ts';
import type { SandboxMetrics, TimeRange } from './metrics.ts';
import { killSandbox, pauseSandbox } from './pause.ts';
import type { PauseOptions } from './pause.ts';

/** What the constructor needs: a program that got these from another one needs no API key. */
export interface SandboxHandleOptions extends ConnectionOptions {
  readonly sandboxId: string;
  /** Opens files, commands and terminals. */
  readonly envdAccessToken?: string | undefined;
  /** Opens ports of a sandbox whose traffic is not public. */
  readonly trafficAccessToken?: string | undefined;
  /** The domain of its host names. Default: `domain`. */
  readonly sandboxDomain?: string | undefined;
}

/**
 * One sandbox. `await using sandbox = await Sandbox.create()` kills it at the end of the block. All methods throw
 * {@link SoulBoxError}; those of a sandbox that is gone have the reason `sandbox_not_found`.
 */
// The E2B client has a class here, which programs call statically and extend.
// eslint-disable-next-line no-restricted-syntax
export class Sandbox implements AsyncDisposable {
  readonly sandboxId: string;
  /** The domain of its host names. Undefined: the server has none. */
  readonly sandboxDomain: string | undefined;
  /** Opens ports of a sandbox whose traffic is not public. */
  readonly trafficAccessToken: string | undefined;
  /** Opens files, commands and terminals, also without an API key. Undefined if the sandbox needs none. */
  readonly envdAccessToken: string | undefined;
  readonly files: Files;
  readonly commands: Commands;
  readonly pty: Pty;
  /** Processes with lossless streams of output. */
  readonly process: Processes;
  readonly #connection: Connection;
  readonly #envd: Envd;

  /** Opens a sandbox without a request. Use `Sandbox.create` and `Sandbox.connect` with an API key. */
  constructor(options: SandboxHandleOptions) {
    const { sandboxId, envdAccessToken, trafficAccessToken, sandboxDomain, ...connection } = options;
    // Without an API, only the sandbox itself is reached.
    const apiUrl = connection.apiUrl ?? connection.sandboxUrl;
    this.#connection = connectionFrom(apiUrl === undefined ? connection : { ...connection, apiUrl });
    const access: SandboxAccess = {
      ...{ sandboxId, envdAccessToken, trafficAccessToken },
      sandboxDomain: sandboxDomain ?? this.#connection.domain,
    };
    this.sandboxId = sandboxId;
    this.sandboxDomain = access.sandboxDomain;
    this.envdAccessToken = envdAccessToken;
    this.trafficAccessToken = trafficAccessToken;
    this.#envd = openEnvd(this.#connection, access);
    this.process = createProcesses(this.#envd);
    this.files = createFiles(this.#envd);
    this.commands = createCommands(this.process);
    this.pty = createPty(this.process);
  }

  /**
   * Creates a sandbox, from the template `base` unless another one is named. Errors: `template_not_found`,
   * `limit_exceeded`, `config_invalid`.
   */
  static async create<S extends typeof Sandbox>(this: S, options?: SandboxOptions): Promise<InstanceType<S>>;
  static async create<S extends typeof Sandbox>(
    this: S,
    template: string,
    options?: SandboxOptions,
  ): Promise<InstanceType<S>>;
  static async create<S extends typeof Sandbox>(
    this: S,
    first: string | SandboxOptions = {},
    second: SandboxOptions = {},
  ): Promise<InstanceType<S>> {
    const options = typeof first === 'string' ? { ...second, template: first } : first;
    const connection = connectionFrom(options);
    return open(this, connection, await createSandbox(connection, options));
  }

  /** Connects to a sandbox and resumes it if it is paused. Its timeout is only made longer. */
  static async connect<S extends typeof Sandbox>(
    this: S,
    sandboxId: string,
    options: SandboxConnectOptions = {},
  ): Promise<InstanceType<S>> {
    const connection = connectionFrom(options);
    return open(this, connection, await connectSandbox(connection, sandboxId, options));
  }

  /** Lists the sandboxes of the team. */
  static list(options?: SandboxListOptions): Paginator<SandboxInfo> {
    return listSandboxes(options);
  }

  /** Ends a sandbox, running or paused. False if it does not exist. */
  static async kill(sandboxId: string, options?: ConnectionOptions): Promise<boolean> {
    return await killSandbox(connectionFrom(options), sandboxId);
  }

  /** Pauses a sandbox. False if it is paused already. */
  static async pause(sandboxId: string, options: PauseOptions = {}): Promise<boolean> {
    return await pauseSandbox(connectionFrom(options), sandboxId, options);
  }

  /** The same as `pause`. */
  static async betaPause(sandboxId: string, options: PauseOptions = {}): Promise<boolean> {
    return await pauseSandbox(connectionFrom(options), sandboxId, options);
  }

  /** Describes a sandbox. */
  static async getInfo(sandboxId: string, options?: ConnectionOptions): Promise<SandboxDetail> {
    return await getInfo(connectionFrom(options), sandboxId);
  }

  /** The use of resources over time. */
  static async getMetrics(sandboxId: string, options: ConnectionOptions & TimeRange = {}): Promise<SandboxMetrics[]> {
    return await getMetrics(connectionFrom(options), sandboxId, options);
  }

  /** Lets a sandbox live for so many milliseconds from now on, rounded up to seconds. May be shorter than before. */
  static async setTimeout(sandboxId: string, timeoutMs: number, options?: ConnectionOptions): Promise<void> {
    await setSandboxTimeout(connectionFrom(options), sandboxId, timeoutMs);
  }

  /** Connects again, and resumes the sandbox if it is paused. Returns this object. */
  async connect(options: SandboxConnectOptions = {}): Promise<this> {
    await connectSandbox(withOptions(this.#connection, options), this.sandboxId, options);
    return this;
  }

  /** Ends the sandbox. False if it does not exist. */
  async kill(options?: RequestOptions): Promise<boolean> {
    return await killSandbox(withOptions(this.#connection, options), this.sandboxId);
  }

  /** Kills the sandbox: `await using` calls it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  /** Pauses the sandbox. False if it is paused already. */
  async pause(options: PauseOptions = {}): Promise<boolean> {
    return await pauseSandbox(withOptions(this.#connection, options), this.sandboxId, options);
  }

  /** The same as `pause`. */
  async betaPause(options?: PauseOptions): Promise<boolean> {
    return await this.pause(options);
  }

  /** Lets the sandbox live for so many milliseconds from now on, rounded up to seconds. May be shorter than before. */
  async setTimeout(timeoutMs: number, options?: RequestOptions): Promise<void> {
    await setSandboxTimeout(withOptions(this.#connection, options), this.sandboxId, timeoutMs);
  }

  /** Describes the sandbox. */
  async getInfo(options?: RequestOptions): Promise<SandboxDetail> {
    return await getInfo(withOptions(this.#connection, options), this.sandboxId);
  }

  /** The use of resources over time. */
  async getMetrics(options: RequestOptions & TimeRange = {}): Promise<SandboxMetrics[]> {
    const { start, end, ...request } = options;
    return await getMetrics(withOptions(this.#connection, request), this.sandboxId, { start, end });
  }

  /** Whether the sandbox is running. False if it is paused or gone. */
  async isRunning(options?: RequestOptions): Promise<boolean> {
    const signal = this.#envd.signal(options);
    const call = { method: 'GET', url: `${this.#envd.url}/health`, ...(signal === undefined ? {} : { signal }) };
    try {
      const { status } = await this.#envd.calls.call(call).catch(rethrow);
      return status >= 200 && status < 300;
    } catch (error) {
      if (error instanceof SoulBoxError && error.reason === 'sandbox_not_found') return false;
      throw error;
    }
  }

  /** The host name of a port, `PORT-ID.DOMAIN`, without a scheme. Throws `config_invalid` if the server has no domain. */
  getHost(port: number): string {
    if (this.sandboxDomain !== undefined) return `${port}-${this.sandboxId}.${this.sandboxDomain}`;
    throw new SoulBoxError('The server has no domain, so ports have no host names. Use getUrl.', {
      ...{ code: 'failed_precondition', reason: 'config_invalid' },
    });
  }

  /** The URL of a port, without a slash at the end. It needs no header, unless the traffic is not public. */
  getUrl(port: number): string {
    const label = `${port}-${this.sandboxId}`;
    const base = portUrl(this.#connection, this.#envd.access, port);
    return new URL(base).host.startsWith(`${label}.`) ? base : `${base}/sandboxes-http/${label}`;
  }

  /** A URL to which a file can be posted. `path`: absent, the name of the sent file is its path. */
  async uploadUrl(path = '', options: FileUrlOptions = {}): Promise<string> {
    return await fileUrl(this.#envd, 'write', path, options);
  }

  /** A URL from which a file can be read. */
  async downloadUrl(path: string, options: FileUrlOptions = {}): Promise<string> {
    return await fileUrl(this.#envd, 'read', path, options);
  }
}

function open<S extends typeof Sandbox>(subclass: S, { options }: Connection, access: SandboxAccess): InstanceType<S> {
  // The signal was that of the first call.
  return new subclass({ ...options, ...access, signal: undefined }) as InstanceType<S>;
}

async function setSandboxTimeout(connection: Connection, sandboxId: string, timeoutMs: number): Promise<void> {
  const path = `/sandboxes/${segment(sandboxId)}/timeout`;
  await callApi(connection, { method: 'POST', path, body: { timeout: seconds(timeoutMs) } });
}
