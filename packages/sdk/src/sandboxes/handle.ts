import { envdPort, headers as headerNames } from '@soulbox/contract/headers';
import { callApi, segment } from '../api.ts';
import type { Schemas } from '../api.ts';
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
import { createSnapshot, deleteSnapshot, listSnapshots, makeCopies } from './copies.ts';
import type { ForkOptions, SnapshotInfo, SnapshotListOptions, SnapshotOptions } from './copies.ts';
import { exportFile, importFile } from './export.ts';
import type { ExportOptions, ImportedSnapshot, ImportOptions } from './export.ts';
import { readEvents, readLogs, readMetrics } from './follow.ts';
import type { EventOptions, LogEntry, LogOptions, MetricHistoryOptions, MetricPoint, SandboxEvent } from './follow.ts';
import { runProgram } from './run.ts';
import type { RunOptions, RunOutcome, RunTarget } from './run.ts';
import { signUrl } from './sign-url.ts';
import type { SignedUrl, SignOptions, SignTarget } from './sign-url.ts';
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
    this.#connection = connectionFrom(apiUrl === undefined ? connection : { ...connection, apiUrl }, sandboxDomain);
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

  /**
   * Forks a running or paused sandbox: each copy has its memory and disk. Copies that could not be made are errors in
   * the list.
   */
  static async fork<S extends typeof Sandbox>(
    this: S,
    sandboxId: string,
    options: ForkOptions = {},
  ): Promise<(InstanceType<S> | SoulBoxError)[]> {
    const connection = connectionFrom(options);
    return openAll(this, connection, await makeCopies(connection, 'sandboxes', sandboxId, options));
  }

  /** Makes sandboxes from a snapshot, with its memory and disk. */
  static async forkSnapshot<S extends typeof Sandbox>(
    this: S,
    snapshotId: string,
    options: ForkOptions = {},
  ): Promise<(InstanceType<S> | SoulBoxError)[]> {
    const connection = connectionFrom(options);
    return openAll(this, connection, await makeCopies(connection, 'snapshots', snapshotId, options));
  }

  /** Saves a sandbox as a snapshot. A running one is frozen meanwhile. */
  static async createSnapshot(sandboxId: string, options: SnapshotOptions = {}): Promise<SnapshotInfo> {
    return await createSnapshot(connectionFrom(options), sandboxId, options);
  }

  /** Lists the snapshots of the team. */
  static listSnapshots(options?: SnapshotListOptions): Paginator<SnapshotInfo> {
    return listSnapshots(options);
  }

  /** Removes a snapshot. False if it does not exist. */
  static async deleteSnapshot(snapshotId: string, options?: ConnectionOptions): Promise<boolean> {
    return await deleteSnapshot(connectionFrom(options), snapshotId);
  }

  /** A snapshot as one signed file. */
  static exportSnapshot(snapshotId: string, options: ExportOptions = {}): AsyncGenerator<Uint8Array> {
    return exportFile(connectionFrom(options), 'snapshots', snapshotId, options);
  }

  /** Makes a snapshot from an exported file. `Sandbox.create(snapshotId)` starts it. */
  static async import(
    source: AsyncIterable<Uint8Array> | Blob,
    options: ImportOptions = {},
  ): Promise<ImportedSnapshot> {
    return await importFile(connectionFrom(options), source, options);
  }

  /** Events of all sandboxes of the team, oldest first. */
  static events(options: EventOptions = {}): AsyncGenerator<SandboxEvent> {
    return readEvents(connectionFrom(options), undefined, options);
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
    throw new SoulBoxError('The server has no domain, so ports have no host names. Use fetch or signUrl.', {
      ...{ code: 'failed_precondition', reason: 'config_invalid' },
    });
  }

  /**
   * Sends a request to a port of the sandbox, also where the server has no domain. `path` begins with a slash. The
   * response is that of the program; 502 if no program listens.
   */
  async fetch(port: number, path = '/', init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set(headerNames.sandboxId, this.sandboxId);
    headers.set(headerNames.sandboxPort, String(port));
    if (this.trafficAccessToken !== undefined) headers.set(headerNames.trafficAccessToken, this.trafficAccessToken);
    const url = `${portUrl(this.#connection, this.#envd.access, port)}${path}`;
    return await this.#connection.fetch(url, { ...init, headers }).catch(rethrow);
  }

  /** A URL to which a file can be posted. `path`: absent, the name of the sent file is its path. */
  async uploadUrl(path = '', options: FileUrlOptions = {}): Promise<string> {
    return await fileUrl(this.#envd, 'write', path, options);
  }

  /** A URL from which a file can be read. */
  async downloadUrl(path: string, options: FileUrlOptions = {}): Promise<string> {
    return await fileUrl(this.#envd, 'read', path, options);
  }
  /** Forks the sandbox, running or paused, see the static `fork`. */
  async fork(options: ForkOptions = {}): Promise<(this | SoulBoxError)[]> {
    const connection = withOptions(this.#connection, options);
    const copies = await makeCopies(connection, 'sandboxes', this.sandboxId, options);
    return openAll(this.constructor as typeof Sandbox, this.#connection, copies) as (this | SoulBoxError)[];
  }

  /** Saves the sandbox as a snapshot, which `Sandbox.create(snapshotId)` and `Sandbox.forkSnapshot` start. */
  async createSnapshot(options: SnapshotOptions = {}): Promise<SnapshotInfo> {
    return await createSnapshot(withOptions(this.#connection, options), this.sandboxId, options);
  }

  /** Lists the snapshots of this sandbox. */
  listSnapshots(options: Omit<SnapshotListOptions, 'sandboxId'> = {}): Paginator<SnapshotInfo> {
    return listSnapshots({ ...this.#connection.options, ...options, sandboxId: this.sandboxId });
  }

  /**
   * Runs code, a file or a project with the runtime that fits it. Dependencies of a project are installed. Errors:
   * `runtime_missing`, `run_failed` and others of docs/errors.md.
   */
  async run(target: RunTarget, options: RunOptions = {}): Promise<RunOutcome> {
    const connection = withOptions(this.#connection, { signal: options.signal });
    return await runProgram(connection, this.sandboxId, target, options);
  }

  /** The sandbox as one signed file, which `Sandbox.import` takes on this or another server. */
  export(options: ExportOptions = {}): AsyncGenerator<Uint8Array> {
    return exportFile(withOptions(this.#connection, options), 'sandboxes', this.sandboxId, options);
  }

  /** A URL of a file or of a port that works without a key. */
  async signUrl(target: SignTarget, options: SignOptions & RequestOptions = {}): Promise<SignedUrl> {
    const { signal, requestTimeoutMs, ...sign } = options;
    const connection = withOptions(this.#connection, { signal, requestTimeoutMs });
    return await signUrl(connection, this.#urlOf(target), sign);
  }

  /** Metrics over time, oldest first; with `follow` until the loop is left. */
  metrics(options: MetricHistoryOptions & Pick<RequestOptions, 'signal'> = {}): AsyncGenerator<MetricPoint> {
    return readMetrics(withOptions(this.#connection, { signal: options.signal }), this.sandboxId, options);
  }

  /** The log of the sandbox, oldest first; with `follow` until the loop is left. */
  logs(options: LogOptions & Pick<RequestOptions, 'signal'> = {}): AsyncGenerator<LogEntry> {
    return readLogs(withOptions(this.#connection, { signal: options.signal }), this.sandboxId, options);
  }

  /** Events of this sandbox, oldest first; with `follow` until the loop is left. */
  events(options: EventOptions = {}): AsyncGenerator<SandboxEvent> {
    const { after: _after, follow: _follow, ...connection } = options;
    return readEvents(withOptions(this.#connection, connection), this.sandboxId, options);
  }

  /** Replaces the rules for connections, in the form of the REST API. */
  async updateNetwork(network: Schemas['SandboxNetworkUpdateConfig'], options?: RequestOptions): Promise<void> {
    const path = `/sandboxes/${segment(this.sandboxId)}/network`;
    await callApi(withOptions(this.#connection, options), { method: 'PUT', path, body: network });
  }

  #urlOf(target: SignTarget): string {
    if ('port' in target) return `${this.#portUrl(target.port)}${target.path ?? '/'}`;
    const { file, user } = target;
    const query = new URLSearchParams({ path: file, ...(user === undefined ? {} : { username: user }) });
    return `${this.#portUrl(envdPort)}/files?${query.toString()}`;
  }

  /** By its host name if there are any, otherwise by a path, which only signed URLs may have. */
  #portUrl(port: number): string {
    const label = `${port}-${this.sandboxId}`;
    const base = portUrl(this.#connection, this.#envd.access, port);
    return new URL(base).host.startsWith(`${label}.`) ? base : `${base}/sandboxes-http/${label}`;
  }
}

function openAll<S extends typeof Sandbox>(
  subclass: S,
  connection: Connection,
  copies: readonly (SandboxAccess | SoulBoxError)[],
): (InstanceType<S> | SoulBoxError)[] {
  return copies.map((copy) => (copy instanceof SoulBoxError ? copy : open(subclass, connection, copy)));
}

function open<S extends typeof Sandbox>(subclass: S, { options }: Connection, access: SandboxAccess): InstanceType<S> {
  // The signal was that of the first call.
  return new subclass({ ...options, ...access, signal: undefined }) as InstanceType<S>;
}

async function setSandboxTimeout(connection: Connection, sandboxId: string, timeoutMs: number): Promise<void> {
  const path = `/sandboxes/${segment(sandboxId)}/timeout`;
  await callApi(connection, { method: 'POST', path, body: { timeout: seconds(timeoutMs) } });
}
