import { SoulBoxError } from '@soulbox/base';
import { callHttpService, readJson } from '@soulbox/rpc/http-call';
import type { HttpService } from '@soulbox/rpc/http-call';
import { readFromHttpService } from '@soulbox/rpc/http-read';
import { z } from 'zod';
import { objectMaxBytes } from './object-access.ts';
import type { ObjectAccess, WriteCondition } from './object-access.ts';

/** A slow store takes two minutes for 8 MiB, and the process repeats a call that failed. */
const silenceMs = 600_000;

const versionForm = z.string().min(1).max(1024);
const pageSchema = z.object({
  objects: z.array(z.object({ key: z.string().max(1024), modifiedAtMs: z.number() })).max(1000),
  cursor: z.string().min(1).max(4096).optional(),
});

/** Access through the process that has the credentials of the store (apps/objects), on its socket. */
export function socketAccess(socketPath: string): ObjectAccess {
  const service: HttpService = {
    ...{ socketPath, name: 'process of the object store', unavailable: 'storage_unavailable' as const, silenceMs },
    // The supervisor starts it again by itself.
    wake: () => undefined,
  };
  const call = async (
    method: string,
    path: string,
    signal: AbortSignal,
    more: { readonly headers?: Record<string, string>; readonly body?: AsyncIterable<Uint8Array> } = {},
  ) => await callHttpService({ method, path, signal, ...more }, service);
  return {
    async put(key, bytes, signal, condition) {
      const headers = { 'content-length': String(bytes.length), ...conditionHeaders(condition) };
      (await call('PUT', pathOf(key), signal, { headers, body: once(bytes) })).resume();
    },
    async get(key, signal, { fresh = false, into } = {}) {
      const path = `${pathOf(key)}${fresh ? '&fresh=true' : ''}`;
      try {
        const { headers, body } = await readFromHttpService({ path, signal, into, maxBytes: objectMaxBytes }, service);
        return { bytes: body, version: decodeURIComponent(versionForm.parse(headers.get('x-version'))) };
      } catch (error) {
        if (error instanceof SoulBoxError && error.reason === 'storage_not_found') return undefined;
        throw error;
      }
    },
    async delete(key, signal) {
      (await call('DELETE', pathOf(key), signal)).resume();
    },
    async list(prefix, cursor, signal) {
      const query = new URLSearchParams({ prefix, ...(cursor === undefined ? {} : { cursor }) });
      return pageSchema.parse(await readJson(await call('GET', `/list?${query.toString()}`, signal)));
    },
  };
}

const pathOf = (key: string): string => `/object?${new URLSearchParams({ key }).toString()}`;

function conditionHeaders(condition: WriteCondition | undefined): Record<string, string> {
  if (condition === undefined) return {};
  return condition === 'absent' ? { 'x-condition': 'absent' } : { 'x-version': encodeURIComponent(condition.version) };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}
