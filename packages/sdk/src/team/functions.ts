import { callApi, callUnlessGone, segment } from '../api.ts';
import type { Schemas } from '../api.ts';
import { connectionFrom } from '../config.ts';
import type { ConnectionOptions } from '../config.ts';
import { SoulBoxError } from '../error.ts';

/** A function as the REST API describes it. */
export type FunctionInfo = Schemas['Function'];
/** One line of the log of a function. */
export type FunctionLogEntry = Schemas['FunctionLog']['entries'][number];

/** What a deployment needs. What is absent stays as it is in an earlier version. */
export type FunctionSpec = Omit<Schemas['NewFunction'], 'kind'> & {
  /** `workers`: a module of Cloudflare Workers. `edge`: a Vercel Edge function. Default: `workers`. */
  readonly kind?: Schemas['NewFunction']['kind'];
};

const path = (name: string, rest = ''): string => `/functions/${segment(name)}${rest}`;

/** Functions of the team: code that answers requests, started when one arrives. */
export const functions = {
  /**
   * Deploys a function, or a new version of it. `source` is one file of JavaScript: bundle it first. Resolves when it
   * serves.
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

  /** Sends a request to a function by its name. Any status of the function is a response. */
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

  /** Lists the functions of the team. */
  async list(options?: ConnectionOptions): Promise<FunctionInfo[]> {
    return (await callApi<FunctionInfo[]>(connectionFrom(options), { path: '/functions' })).body;
  },

  /** Describes a function. Throws `function_not_found`. */
  async get(name: string, options?: ConnectionOptions): Promise<FunctionInfo> {
    return (await callApi<FunctionInfo>(connectionFrom(options), { path: path(name) })).body;
  },

  /** Removes a function. False if it does not exist. */
  async delete(name: string, options?: ConnectionOptions): Promise<boolean> {
    return await callUnlessGone(connectionFrom(options), { method: 'DELETE', path: path(name) });
  },

  /** Its log from a cursor on. The answer has the next cursor. */
  async logs(
    name: string,
    cursor?: number,
    options?: ConnectionOptions,
  ): Promise<{ readonly entries: readonly FunctionLogEntry[]; readonly cursor: number }> {
    const call = { path: path(name, '/logs'), query: { cursor } };
    return (await callApi<Schemas['FunctionLog']>(connectionFrom(options), call)).body;
  },

  /** The URL under which the function serves everybody. */
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
