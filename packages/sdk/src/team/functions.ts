import { callApi, callUnlessGone, segment } from '../api.ts';
import type { Schemas } from '../api.ts';
import { connectionFrom } from '../config.ts';
import type { ConnectionOptions } from '../config.ts';
import { SoulBoxError } from '../error.ts';

/**
 * A function as the REST API describes it. `state` is that of its sandbox: `running`, `asleep` (the next request
 * resumes it) or `none` (the next request starts one). `secrets` has names only.
 */
export type FunctionInfo = Schemas['Function'];
/** One line of the log of a function: of its console, of a request, or what happened to its engine. */
export type FunctionLogEntry = Schemas['FunctionLog']['entries'][number];

/**
 * What a deployment needs. What is absent stays as it is in an earlier version.
 *
 * - `name`: 1 to 40 characters of `a-z`, `0-9` and `-`, unique on the server.
 * - `source`: one JavaScript module with its imports bundled, at most 5 MiB.
 * - `environment`: replaces all variables, at most 128. `secrets`: added to those that exist.
 * - `kv`: key-value namespaces of the team by binding, at most 16. Kind `workers` only.
 * - `limits`: `requestTimeoutMs` until the response starts (30,000), `memoryMb` beside the engine (128), `maxBodyBytes`
 *   (10 MiB) and `idleSeconds` until a pause (60). The numbers are the defaults of the server.
 * - `compatibilityDate`, `compatibilityFlags`: those of workerd. Kind `workers` only.
 */
export type FunctionSpec = Omit<Schemas['NewFunction'], 'kind'> & {
  /**
   * `workers`: a module of Cloudflare Workers. `edge`: a Vercel Edge function. An existing one keeps its kind. Default:
   * `workers`.
   */
  readonly kind?: Schemas['NewFunction']['kind'];
};

const path = (name: string, rest = ''): string => `/functions/${segment(name)}${rest}`;

/**
 * Functions of the team: code that answers requests, started when one arrives. docs/edge.md describes them. E2B has
 * nothing like it.
 */
export const functions = {
  /**
   * Deploys a function, or a new version of it. `source` is one file of JavaScript: bundle it first. Resolves when it
   * serves. After an error, the earlier version stays active. Errors: `function_broken` (its code does not start),
   * `name_taken` (by another team), `bad_request`, `limit_exceeded`.
   */
  async deploy(spec: FunctionSpec, options?: ConnectionOptions): Promise<FunctionInfo> {
    const connection = connectionFrom(options);
    const { name, kind = 'workers', ...version } = spec;
    try {
      const call = { method: 'POST', path: path(name, '/versions'), body: version } as const;
      return (await callApi<FunctionInfo>(connection, call)).body;
    } catch (error) {
      if (!(error instanceof SoulBoxError) || error.status !== 404) throw error;
      const call = { method: 'POST', path: '/functions', body: { name, kind, ...version } } as const;
      return (await callApi<FunctionInfo>(connection, call)).body;
    }
  },

  /**
   * Sends a request to a function by its name, through the control plane, with an API key. `request` is a path (a
   * `GET`) or a `Request`, whose host does not matter. Default: `/`. Any status of the function is a response. Request
   * and response are held in memory; a request body has at most about 768 KiB. Throws `function_not_found`.
   */
  async invoke(name: string, request: Request | string = '/', options?: ConnectionOptions): Promise<Response> {
    const connection = connectionFrom(options);
    const { method, headers, url, body } =
      typeof request === 'string'
        ? { method: 'GET', headers: [], url: new URL(request, 'http://function'), body: '' }
        : {
            ...{ method: request.method, headers: [...request.headers], url: new URL(request.url) },
            body: base64(new Uint8Array(await request.arrayBuffer())),
          };
    const wire = { method, path: url.pathname + url.search, headers: Object.fromEntries(headers), body };
    const call = { method: 'POST', path: path(name, '/invoke'), body: { ...wire, encoding: 'base64' } } as const;
    const { body: answer } = await callApi<Schemas['FunctionAnswer']>(connection, call);
    const bytes = answer.encoding === 'base64' ? bytesOf(answer.body) : answer.body;
    const isEmpty = [204, 205, 304].includes(answer.status);
    return new Response(isEmpty ? null : bytes, { status: answer.status, headers: answer.headers });
  },

  /** Lists all functions of the team. */
  async list(options?: ConnectionOptions): Promise<FunctionInfo[]> {
    return (await callApi<FunctionInfo[]>(connectionFrom(options), { path: '/functions' })).body;
  },

  /** Describes a function. Throws `function_not_found`. */
  async get(name: string, options?: ConnectionOptions): Promise<FunctionInfo> {
    return (await callApi<FunctionInfo>(connectionFrom(options), { path: path(name) })).body;
  },

  /** Removes a function with its versions, variables and secrets, and ends its sandbox. False if it does not exist. */
  async delete(name: string, options?: ConnectionOptions): Promise<boolean> {
    return await callUnlessGone(connectionFrom(options), { method: 'DELETE', path: path(name) });
  },

  /**
   * Reads the log of a function after a cursor, oldest first, at most 1000 lines. Default: from the oldest line that is
   * kept. The server keeps 2000 lines. Throws `function_not_found`.
   */
  async logs(
    name: string,
    cursor?: number,
    options?: ConnectionOptions,
  ): Promise<{
    /** The lines, oldest first. Empty: there is nothing new. */
    readonly entries: readonly FunctionLogEntry[];
    /** The cursor for the next call. */
    readonly cursor: number;
  }> {
    const call = { path: path(name, '/logs'), query: { cursor } };
    return (await callApi<Schemas['FunctionLog']>(connectionFrom(options), call)).body;
  },

  /**
   * Returns the URL under which the function serves everybody, `API/functions-http/NAME/`. No request is sent. With
   * wildcard DNS, the function is at `fn-NAME.DOMAIN`, too.
   */
  url(name: string, options?: ConnectionOptions): string {
    return `${connectionFrom(options).apiUrl}/functions-http/${segment(name)}/`;
  },
};

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}
