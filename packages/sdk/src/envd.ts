import type { DescMethod } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import type { Client } from '@connectrpc/connect';
import { CallError, createHttpCalls, createTarget, noRetries, releasingResponse } from '@soulbox/client';
import type { HttpCalls, Slots, Target } from '@soulbox/client';
import { createWebTransport } from '@soulbox/client/web';
import { Filesystem } from '@soulbox/contract/filesystem';
import { envdPort, headers as headerNames } from '@soulbox/contract/headers';
import { ProcessService } from '@soulbox/contract/process-v1';
import { callApi, segment } from './api.ts';
import { hostOf, requestSignal, silenceMs } from './config.ts';
import type { Connection, RequestOptions } from './config.ts';
import { SoulBoxError } from './error.ts';

/** What names one sandbox and opens it. @internal */
export interface SandboxAccess {
  readonly sandboxId: string;
  /** The domain of its host names. Undefined: the server has none. */
  readonly sandboxDomain: string | undefined;
  readonly envdAccessToken: string | undefined;
  readonly trafficAccessToken: string | undefined;
}

/** The daemon inside one sandbox. @internal */
export interface Envd {
  readonly connection: Connection;
  readonly access: SandboxAccess;
  /** Without a slash at the end. */
  readonly url: string;
  readonly processes: Client<typeof ProcessService>;
  /** The same, for what belongs to a process that runs: waits longer for a server that is away. */
  readonly patient: Client<typeof ProcessService>;
  /** The same for its input, which a process may take whenever it wants to: an attempt has no limit of time. */
  readonly input: Pick<Client<typeof ProcessService>, 'write' | 'closeInput'>;
  readonly filesystem: Client<typeof Filesystem>;
  /** Any status is an answer. */
  readonly calls: HttpCalls;
  /** Makes a request once, with the headers that each needs. Throws for a sandbox that is gone. */
  send(url: string, init: RequestInit): Promise<Response>;
  /** The same to any port, as it is. */
  fetchPort(url: string, init: RequestInit): Promise<Response>;
  /** The options of a call of its services, as a user of the sandbox. */
  callOptions(options?: UserOptions): { headers: Record<string, string>; signal?: AbortSignal };
  /** The signal of one request. */
  signal(options?: RequestOptions): AbortSignal | undefined;
}

/** Options of a call that is made as a user of the sandbox. */
export interface UserOptions extends RequestOptions {
  /**
   * The name of a user of the sandbox: processes run as this user, new files belong to it, and relative paths begin at
   * its home. Default: the sandbox's default user, normally `user`. An unknown one throws `unknown_user`.
   */
  readonly user?: string | undefined;
}

/** E2B's protocol declares nothing. `Start` and `Write` always carry an id or a position here. */
const safeMethods: ReadonlySet<DescMethod> = new Set<DescMethod>([
  ...[Filesystem.method.stat, Filesystem.method.listDir],
  ...[ProcessService.method.start, ProcessService.method.write, ProcessService.method.resize],
]);

/** They last as long as a process does, or until it takes its input. */
const longMethods: ReadonlySet<DescMethod> = new Set<DescMethod>([
  ...[ProcessService.method.wait, ProcessService.method.write, ProcessService.method.closeInput],
]);

/** For as long as a server may need to restart, or a sandbox may be paused. @internal */
export const resumption = { attempts: 100, initialDelayMs: 50, maxDelayMs: 2000, budgetMs: 60_000 };
/** One question of `wait`; it is asked again. @internal */
export const waitMs = 30_000;
/** The budget counts from the start of a call, and a connection can break at the end of a wait. */
const patience = { ...resumption, budgetMs: waitMs + resumption.budgetMs };

/** @internal */
export function openEnvd(connection: Connection, access: SandboxAccess): Envd {
  const url = portUrl(connection, access, envdPort);
  const { sandboxId, envdAccessToken } = access;
  const headers = {
    [headerNames.sandboxId]: sandboxId,
    [headerNames.sandboxPort]: String(envdPort),
    ...(envdAccessToken === undefined ? {} : { [headerNames.accessToken]: envdAccessToken }),
  };
  const { origin } = new URL(url);
  const host = hostOf(origin);
  // Of all sandboxes behind one gateway. Answers about one sandbox are no outage.
  const common = { name: url, events: connection.events, breaker: host.breakerOf('sandboxes') };
  const target = createTarget({ ...common, retry: connection.retry, attemptTimeoutMs: silenceMs });
  const send: typeof fetch = async (input, init = {}) => {
    const all = new Headers(init.headers);
    for (const [name, value] of Object.entries(headers)) all.set(name, value);
    const response = await connection.fetch(input, { ...init, headers: all });
    if (response.status === 502 && (await isGone(connection, sandboxId))) {
      void response.body?.cancel().catch(() => undefined);
      throw new CallError(`The sandbox ${sandboxId} was killed or has reached its end.`, {
        ...{ code: 'not_found', reason: 'sandbox_not_found', retryable: false, status: 404 },
      });
    }
    return response;
  };
  const isSafeToRepeat = (method: DescMethod): boolean => safeMethods.has(method);
  const { slots, streamSlots } = host;
  const rules = { slots, streamSlots, isSafeToRepeat, isLong: (method: DescMethod) => longMethods.has(method) };
  const transport = createWebTransport({ ...rules, baseUrl: url, target, fetch: send });
  const patientTarget = createTarget({ ...common, retry: patience, attemptTimeoutMs: silenceMs });
  const patientTransport = createWebTransport({
    ...{ ...rules, baseUrl: url, target: patientTarget, fetch: send, longAttemptTimeoutMs: silenceMs },
  });
  const inputTarget = createTarget({ ...common, retry: resumption });
  const inputTransport = createWebTransport({ ...rules, baseUrl: url, target: inputTarget, fetch: send });
  const files = { target, slots, streamSlots, fetch: send };
  return {
    ...{ connection, access, url },
    send: async (to, init) => await sendOnce(target, streamSlots, to, init, send),
    fetchPort: async (to, init) => await sendOnce(unjudged(target), streamSlots, to, init, connection.fetch),
    processes: createClient(ProcessService, transport),
    patient: createClient(ProcessService, patientTransport),
    input: createClient(ProcessService, inputTransport),
    filesystem: createClient(Filesystem, transport),
    calls: createHttpCalls({ ...files, acceptsAnyStatus: true }),
    signal: (options) => requestSignal(connection, options),
    callOptions(options = {}) {
      const signal = requestSignal(connection, options);
      const { user } = options;
      return {
        headers: user === undefined ? {} : { authorization: `Basic ${base64(`${user}:`)}` },
        ...(signal === undefined ? {} : { signal }),
      };
    },
  };
}

/** A request with a body of any length, or to a program that may take any time. It cannot be sent again. */
async function sendOnce(
  target: Target,
  slots: Slots,
  url: string,
  init: RequestInit,
  send: typeof fetch,
): Promise<Response> {
  const call = { name: `${init.method ?? 'GET'} ${new URL(url).pathname}`, isSafeToRepeat: false };
  return await target.call(
    call,
    async (signal) => {
      const release = await target.take(slots, signal);
      try {
        return releasingResponse(await send(url, init), release);
      } catch (thrown) {
        release();
        throw thrown;
      }
    },
    { signal: init.signal ?? undefined, retry: noRetries, attemptTimeoutMs: 0 },
  );
}

/** What programs in a sandbox do says nothing about the server. */
function unjudged({ name, events }: Target): Target {
  return createTarget({ name, events, breaker: false });
}

/**
 * The URL of a port of a sandbox, without a slash at the end. Requests to it also need the routing headers.
 *
 * @internal
 */
export function portUrl({ sandboxUrl, apiUrl }: Connection, access: SandboxAccess, port: number): string {
  if (sandboxUrl !== undefined) return sandboxUrl;
  const { sandboxDomain, sandboxId } = access;
  // A server without a domain finds sandboxes by headers.
  return sandboxDomain === undefined ? apiUrl : `https://${port}-${sandboxId}.${sandboxDomain}`;
}

/**
 * A URL of `portUrl` with a path. Throws `bad_request` for a path with which it would name another server or sandbox.
 *
 * @internal
 */
export function urlWithPath(base: string, path: string): string {
  const url = `${base}${path}`;
  if (path.startsWith('/') && URL.canParse(url) && new URL(url).href.startsWith(new URL(`${base}/`).href)) return url;
  throw new SoulBoxError(`The path ${JSON.stringify(path)} must begin with a slash and stay within the port.`, {
    ...{ code: 'invalid_argument', reason: 'bad_request' },
  });
}

/** The gateway answers 502 for a paused sandbox, too. Without a key it is not known. */
async function isGone(connection: Connection, sandboxId: string): Promise<boolean> {
  if (connection.apiKey === undefined) return false;
  try {
    await callApi(connection, { path: `/sandboxes/${segment(sandboxId)}`, isMadeOnce: true });
    return false;
  } catch (error) {
    return error instanceof SoulBoxError && error.status === 404;
  }
}

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
