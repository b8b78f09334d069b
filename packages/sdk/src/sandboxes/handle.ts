import { envdPort, headers as headerNames } from '@soulbox/contract/headers';
import { callApi, segment } from '../api.ts';
import type { Schemas } from '../api.ts';
import { createCommands } from '../commands.ts';
import type { Commands } from '../commands.ts';
import { connectionFrom, withOptions } from '../config.ts';
import type { Connection, ConnectionOptions, RequestOptions } from '../config.ts';
import { openEnvd, portUrl, urlWithPath } from '../envd.ts';
import type { Envd, SandboxAccess } from '../envd.ts';
import { rethrow, SoulBoxError } from '../error.ts';
import { createFiles } from '../files.ts';
import type { Files } from '../files.ts';
import type { Paginator } from '../pages.ts';
import { createProcesses, createRunProcess } from '../processes.ts';
import type { Processes } from '../process-types.ts';
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
import { getCustomMetrics, getMetrics } from './metrics.ts';
import type { CustomMetrics, CustomMetricsOptions, SandboxMetrics, TimeRange } from './metrics.ts';
import { killSandbox, pauseSandbox } from './pause.ts';
import type { PauseOptions } from './pause.ts';

/** What the constructor needs: a program that got these from another one needs no API key. */
export interface SandboxHandleOptions extends ConnectionOptions {
  /** The id of the sandbox. */
  readonly sandboxId: string;
  /** The access token, which opens files, commands and terminals. Default: none, for a sandbox that needs none. */
  readonly envdAccessToken?: string | undefined;
  /** The token for ports of a sandbox that was created with `network.allowPublicTraffic: false`. Default: none. */
  readonly trafficAccessToken?: string | undefined;
  /** The domain of its host names. Default: the option `domain`, then `E2B_DOMAIN`. */
  readonly sandboxDomain?: string | undefined;
}

/**
 * One sandbox, with the methods of the class `Sandbox` of e2b 2.51.0. `fetch`, `signUrl`, `run`, `export`, `import`,
 * `forkSnapshot`, `metrics`, `customMetrics`, `logs`, `events` and `process` are additions.
 *
 * `await using sandbox = await Sandbox.create()` kills it at the end of the block. Static methods take the whole
 * connection as options; methods of an object use the connection with which it was made.
 *
 * All errors are {@link SoulBoxError}; those of a sandbox that is gone have the reason `sandbox_not_found`. Calls of
 * the API can also throw `unauthorized`, `scope_missing` and `rate_exceeded`.
 */
// The E2B client has a class here, which programs call statically and extend.
// oxlint-disable-next-line soulbox/no-plain-class
export class Sandbox implements AsyncDisposable {
  /** The id: `i` and 20 letters and digits. It is the same after a pause. */
  readonly sandboxId: string;
  /** The domain of its host names. Undefined: the server has none. */
  readonly sandboxDomain: string | undefined;
  /** The token for its ports. Undefined while they are public, which is the default. */
  readonly trafficAccessToken: string | undefined;
  /**
   * The token that opens its files, commands and terminals, also without an API key, and nothing else. It is the same
   * after a pause. Undefined if the sandbox needs none.
   */
  readonly envdAccessToken: string | undefined;
  /** Reads, writes, lists and watches files. */
  readonly files: Files;
  /** Runs shell commands and lists, connects to and kills running ones. */
  readonly commands: Commands;
  /** Starts and controls terminals. */
  readonly pty: Pty;
  /** Starts processes, and reads their output from any position without a loss (docs/protocol.md). */
  readonly process: Processes;
  readonly #connection: Connection;
  readonly #envd: Envd;

  /**
   * Opens a sandbox without a request, for example in a page that got the id and the access token from a server.
   * Nothing tells whether it exists. With an API key, use `Sandbox.create` or `Sandbox.connect`. Throws
   * `config_invalid`.
   */
  constructor(options: SandboxHandleOptions) {
    const { sandboxId, envdAccessToken, trafficAccessToken, sandboxDomain, ...connection } = options;
    this.#connection = connectionFrom(connection, { domain: sandboxDomain });
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
    const runProcess = createRunProcess(this.#envd);
    this.commands = createCommands(this.process, runProcess);
    this.pty = createPty(this.process, runProcess);
  }

  /**
   * Creates a sandbox from the template `base`, unless `options.template` names another one. Resolves when it is ready
   * for commands. Errors: `template_not_found`, `template_being_made`, `too_many_sandboxes`, `limit_exceeded`,
   * `rate_exceeded`, `budget_spent`, `bad_request`, `config_invalid`.
   */
  static async create<S extends typeof Sandbox>(this: S, options?: SandboxOptions): Promise<InstanceType<S>>;
  /** Creates a sandbox from a template or a snapshot. `options.template` is ignored. The errors are the same. */
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

  /**
   * Connects to a sandbox and resumes it if it is paused. Its timeout is only made longer. Errors: `sandbox_not_found`,
   * `sandbox_resume_failed`, `state_incompatible`, `too_many_sandboxes`, `budget_spent`.
   */
  static async connect<S extends typeof Sandbox>(
    this: S,
    sandboxId: string,
    options: SandboxConnectOptions = {},
  ): Promise<InstanceType<S>> {
    const connection = connectionFrom(options);
    return open(this, connection, await connectSandbox(connection, sandboxId, options));
  }

  /** Lists the sandboxes of the team, running and paused, the newest first. */
  static list(options?: SandboxListOptions): Paginator<SandboxInfo> {
    return listSandboxes(options);
  }

  /** Ends a sandbox, running or paused, with all its data. False if it does not exist. */
  static async kill(sandboxId: string, options?: ConnectionOptions): Promise<boolean> {
    return await killSandbox(connectionFrom(options), sandboxId);
  }

  /**
   * Pauses a sandbox: its disk and normally its memory are saved, and it uses no CPU. Its connections to the outside
   * are closed. False if it is paused already; e2b 2.51.0 returns false for every status 409. Errors:
   * `sandbox_not_found`, `illegal_transition` (another call changes it), `checkpoint_failed` (it continues to run),
   * `capability_missing`, `disk_full`, `limit_exceeded`.
   */
  static async pause(sandboxId: string, options: PauseOptions = {}): Promise<boolean> {
    return await pauseSandbox(connectionFrom(options), sandboxId, options);
  }

  /** The same as `Sandbox.pause`, under an older name of E2B. */
  static async betaPause(sandboxId: string, options: PauseOptions = {}): Promise<boolean> {
    return await pauseSandbox(connectionFrom(options), sandboxId, options);
  }

  /** Describes a sandbox. Throws `sandbox_not_found`. */
  static async getInfo(sandboxId: string, options?: ConnectionOptions): Promise<SandboxDetail> {
    return await getInfo(connectionFrom(options), sandboxId);
  }

  /**
   * The use of resources over time, oldest first, at most 1000 samples: of seconds for the last half hour, of minutes
   * for the day before, of hours before that. Throws `sandbox_not_found`.
   */
  static async getMetrics(sandboxId: string, options: ConnectionOptions & TimeRange = {}): Promise<SandboxMetrics[]> {
    return await getMetrics(connectionFrom(options), sandboxId, options);
  }

  /**
   * Lets a sandbox live for so many milliseconds from now on, rounded up to seconds. May be shorter than before; 0 ends
   * or pauses it at once. Errors: `sandbox_not_found`, `illegal_transition` (it is paused), `bad_request` (more than
   * the server's limit, 24 hours unless set).
   */
  static async setTimeout(sandboxId: string, timeoutMs: number, options?: ConnectionOptions): Promise<void> {
    await setSandboxTimeout(connectionFrom(options), sandboxId, timeoutMs);
  }

  /**
   * Forks a running or paused sandbox: each copy has its memory and disk, and an id and tokens of its own. The list has
   * an entry for each copy; one that could not be made is an error with the reason `copy_failed`. A running source is
   * frozen meanwhile. docs/fork.md says what copies share. Errors: `sandbox_not_found`, `bad_request` (`count`),
   * `checkpoint_failed`, `too_many_sandboxes`, `limit_exceeded`, `rate_exceeded`, `budget_spent`.
   */
  static async fork<S extends typeof Sandbox>(
    this: S,
    sandboxId: string,
    options: ForkOptions = {},
  ): Promise<(InstanceType<S> | SoulBoxError)[]> {
    const connection = connectionFrom(options);
    return openAll(this, connection, await makeCopies(connection, 'sandboxes', sandboxId, options));
  }

  /**
   * Makes sandboxes from a snapshot, with its memory and disk. The list is that of `fork`. Throws `snapshot_not_found`
   * and the limits of `fork`.
   */
  static async forkSnapshot<S extends typeof Sandbox>(
    this: S,
    snapshotId: string,
    options: ForkOptions = {},
  ): Promise<(InstanceType<S> | SoulBoxError)[]> {
    const connection = connectionFrom(options);
    return openAll(this, connection, await makeCopies(connection, 'snapshots', snapshotId, options));
  }

  /**
   * Saves a sandbox as a snapshot. A running one is frozen meanwhile, loses its connections to the outside, and
   * continues. Errors: `sandbox_not_found`, `name_taken`, `checkpoint_failed`, `limit_exceeded`, `disk_full`.
   */
  static async createSnapshot(sandboxId: string, options: SnapshotOptions = {}): Promise<SnapshotInfo> {
    return await createSnapshot(connectionFrom(options), sandboxId, options);
  }

  /** Lists the snapshots of the team. Throws `bad_request` for a malformed name. */
  static listSnapshots(options?: SnapshotListOptions): Paginator<SnapshotInfo> {
    return listSnapshots(options);
  }

  /** Removes a snapshot. Sandboxes that were made from it continue. False if it does not exist. */
  static async deleteSnapshot(snapshotId: string, options?: ConnectionOptions): Promise<boolean> {
    return await deleteSnapshot(connectionFrom(options), snapshotId);
  }

  /**
   * Reads a snapshot as one file, signed by the server but not encrypted. The call is made once, and ends after 24
   * hours or when nothing is read for a minute. A stream that breaks off throws. Throws `snapshot_not_found`.
   */
  static exportSnapshot(snapshotId: string, options: ExportOptions = {}): AsyncGenerator<Uint8Array> {
    return exportFile(connectionFrom(options), 'snapshots', snapshotId, options);
  }

  /**
   * Makes a snapshot from an exported file. `Sandbox.create(snapshotId)` starts it. `requestTimeoutMs` does not limit
   * the call: it ends when nothing moves for ten minutes. It is made once. A browser can send a `Blob` only. Errors: `export_unusable`, `export_untrusted` (the
   * server does not trust the one that made the file), `template_not_found`, `state_incompatible`, `disk_full`,
   * `limit_exceeded`.
   */
  static async import(
    source: AsyncIterable<Uint8Array> | Blob,
    options: ImportOptions = {},
  ): Promise<ImportedSnapshot> {
    return await importFile(connectionFrom(options), source, options);
  }

  /** Reads the events of all sandboxes of the team, oldest first; with `follow` until the loop is left. */
  static events(options: EventOptions = {}): AsyncGenerator<SandboxEvent> {
    return readEvents(connectionFrom(options), undefined, options);
  }

  /**
   * Resumes the sandbox if it is paused, and makes its timeout longer. Returns this object. The errors are those of the
   * static method.
   */
  async connect(options: SandboxConnectOptions = {}): Promise<this> {
    await connectSandbox(withOptions(this.#connection, options), this.sandboxId, options);
    return this;
  }

  /** Ends the sandbox with all its data. False if it does not exist. */
  async kill(options?: RequestOptions): Promise<boolean> {
    return await killSandbox(withOptions(this.#connection, options), this.sandboxId);
  }

  /** Kills the sandbox: `await using` calls it at the end of the block, also after an error. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  /** Pauses the sandbox. False if it is paused already. The errors are those of the static method. */
  async pause(options: PauseOptions = {}): Promise<boolean> {
    return await pauseSandbox(withOptions(this.#connection, options), this.sandboxId, options);
  }

  /** The same as `pause`, under an older name of E2B. */
  async betaPause(options?: PauseOptions): Promise<boolean> {
    return await this.pause(options);
  }

  /**
   * Lets the sandbox live for so many milliseconds from now on, rounded up to seconds. May be shorter than before; 0
   * ends or pauses it at once. The errors are those of the static method.
   */
  async setTimeout(timeoutMs: number, options?: RequestOptions): Promise<void> {
    await setSandboxTimeout(withOptions(this.#connection, options), this.sandboxId, timeoutMs);
  }

  /** Describes the sandbox. Throws `sandbox_not_found`. */
  async getInfo(options?: RequestOptions): Promise<SandboxDetail> {
    return await getInfo(withOptions(this.#connection, options), this.sandboxId);
  }

  /** The use of resources over time, oldest first, at most 1000 samples. `metrics` has more fields and can follow. */
  async getMetrics(options: RequestOptions & TimeRange = {}): Promise<SandboxMetrics[]> {
    const { start, end, ...request } = options;
    return await getMetrics(withOptions(this.#connection, request), this.sandboxId, { start, end });
  }

  /** Whether the sandbox is running. False if it is paused or gone. The request does not resume it. */
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

  /**
   * Returns the host name of a port, `PORT-ID.DOMAIN`, without a scheme. Throws `config_invalid` if the server has no
   * domain.
   */
  getHost(port: number): string {
    if (this.sandboxDomain !== undefined) return `${port}-${this.sandboxId}.${this.sandboxDomain}`;
    throw new SoulBoxError('The server has no domain, so ports have no host names. Use fetch or signUrl.', {
      ...{ code: 'failed_precondition', reason: 'config_invalid' },
    });
  }

  /**
   * Sends a request to a port of the sandbox, also where the server has no domain. `path` begins with a slash. `init`
   * is that of the global `fetch`. The response is that of the program, with any status; 502 if no program listens or
   * the sandbox is gone. Neither `requestTimeoutMs` nor `retries` applies: use `init.signal`. Throws `unreachable`,
   * `aborted`, and `bad_request` for a path without a slash.
   */
  async fetch(port: number, path = '/', init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set(headerNames.sandboxId, this.sandboxId);
    headers.set(headerNames.sandboxPort, String(port));
    if (this.trafficAccessToken !== undefined) headers.set(headerNames.trafficAccessToken, this.trafficAccessToken);
    const url = urlWithPath(portUrl(this.#connection, this.#envd.access, port), path);
    return await this.#envd.fetchPort(url, { ...init, headers }).catch(rethrow);
  }

  /**
   * Returns a URL to which a file can be posted without a header, with E2B's signature `v1_`. With an empty `path`, the
   * name of the posted file is its path. Needs WebCrypto, which browsers have in secure contexts only. On a server
   * without a domain, the URL names no sandbox: use `signUrl`.
   */
  async uploadUrl(path = '', options: FileUrlOptions = {}): Promise<string> {
    return await fileUrl(this.#envd, 'write', path, options);
  }

  /** Returns a URL from which a file can be read without a header. The conditions are those of `uploadUrl`. */
  async downloadUrl(path: string, options: FileUrlOptions = {}): Promise<string> {
    return await fileUrl(this.#envd, 'read', path, options);
  }

  /** Forks the sandbox, running or paused. The list and the errors are those of the static method. */
  async fork(options: ForkOptions = {}): Promise<(this | SoulBoxError)[]> {
    const connection = withOptions(this.#connection, options);
    const copies = await makeCopies(connection, 'sandboxes', this.sandboxId, options);
    return openAll(this.constructor as typeof Sandbox, this.#connection, copies) as (this | SoulBoxError)[];
  }

  /**
   * Saves the sandbox as a snapshot, which `Sandbox.create(snapshotId)` and `Sandbox.forkSnapshot` start. The errors
   * are those of the static method.
   */
  async createSnapshot(options: SnapshotOptions = {}): Promise<SnapshotInfo> {
    return await createSnapshot(withOptions(this.#connection, options), this.sandboxId, options);
  }

  /** Lists the snapshots of this sandbox, also after its end. */
  listSnapshots(options: Omit<SnapshotListOptions, 'sandboxId'> = {}): Paginator<SnapshotInfo> {
    return listSnapshots({ ...this.#connection.options, ...options, sandboxId: this.sandboxId });
  }

  /**
   * Runs code, a file or a project with the runtime that fits it. Dependencies of a project are installed. An exit code
   * is a result, no error. The program is killed when the connection breaks or `signal` aborts. Errors:
   * `runtime_not_found`, `runtime_not_installed`, `bad_request`, `run_failed` (after the start, with the HTTP status
   * that fits it).
   */
  async run(target: RunTarget, options: RunOptions = {}): Promise<RunOutcome> {
    const connection = withOptions(this.#connection, { signal: options.signal });
    return await runProgram(connection, this, target, options);
  }

  /**
   * Reads the sandbox as one file, which `Sandbox.import` takes on this or another server. The file is signed by the
   * server, but not encrypted. A running sandbox is frozen for a moment and loses its connections to the outside. The
   * call is made once, and ends after 24 hours or when nothing is read for a minute. A stream that breaks off throws.
   */
  export(options: ExportOptions = {}): AsyncGenerator<Uint8Array> {
    return exportFile(withOptions(this.#connection, options), 'sandboxes', this.sandboxId, options);
  }

  /**
   * Signs a URL of a file or of a port, which works without a key and on servers without a domain. A key can sign only
   * what it can do itself. Errors: `bad_request`, `forbidden`.
   */
  async signUrl(target: SignTarget, options: SignOptions & RequestOptions = {}): Promise<SignedUrl> {
    const { signal, requestTimeoutMs, ...sign } = options;
    const connection = withOptions(this.#connection, { signal, requestTimeoutMs });
    return await signUrl(connection, this.#urlOf(target), sign);
  }

  /** Reads metrics over time, oldest first; with `follow` until the loop is left. Throws `sandbox_not_found`. */
  metrics(options: MetricHistoryOptions & Pick<RequestOptions, 'signal'> = {}): AsyncGenerator<MetricPoint> {
    return readMetrics(withOptions(this.#connection, { signal: options.signal }), this.sandboxId, options);
  }

  /**
   * Reads the metrics that programs in the sandbox report about themselves: the newest values, or those of a range. A
   * running sandbox is read at each call, at most once a second. Throws `sandbox_not_found`.
   */
  async customMetrics(options: RequestOptions & CustomMetricsOptions = {}): Promise<CustomMetrics> {
    const { name, start, end, ...request } = options;
    return await getCustomMetrics(withOptions(this.#connection, request), this.sandboxId, { name, start, end });
  }

  /** Reads the log of the sandbox, oldest first; with `follow` until the loop is left. Throws `sandbox_not_found`. */
  logs(options: LogOptions & Pick<RequestOptions, 'signal'> = {}): AsyncGenerator<LogEntry> {
    return readLogs(withOptions(this.#connection, { signal: options.signal }), this.sandboxId, options);
  }

  /** Reads the events of this sandbox, oldest first, also after its end; with `follow` until the loop is left. */
  events(options: EventOptions = {}): AsyncGenerator<SandboxEvent> {
    const { after: _after, follow: _follow, ...connection } = options;
    return readEvents(withOptions(this.#connection, connection), this.sandboxId, options);
  }

  /**
   * Replaces all rules for connections, in the form of the REST API; what is absent is cleared. Resolves when they are
   * in effect. Connections that they forbid have ended by then. Errors: `bad_request`, `sandbox_not_found`,
   * `illegal_transition` (it is paused).
   */
  async updateNetwork(network: Schemas['SandboxNetworkUpdateConfig'], options?: RequestOptions): Promise<void> {
    const path = `/sandboxes/${segment(this.sandboxId)}/network`;
    await callApi(withOptions(this.#connection, options), { method: 'PUT', path, body: network });
  }

  #urlOf(target: SignTarget): string {
    if ('port' in target) return urlWithPath(this.#portUrl(target.port), target.path ?? '/');
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
