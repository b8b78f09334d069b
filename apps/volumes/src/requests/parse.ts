import { SoulBoxError } from '@soulbox/base';
import type { Attributes } from '../contents/write.ts';
import type { VolumePlace } from '../volumes/open-volumes.ts';

/** A call of the control plane, which has checked all values: a wrong one is a fault. */
export interface Request {
  readonly place: VolumePlace;
  readonly operation: string;
  readonly query: URLSearchParams;
}

const ids = /^[a-zA-Z0-9-]{1,64}$/;

/** `METHOD /<team>/<group>/<volume>/<what>?<query>`. Throws `bad_request`. */
export function parseRequest(method: string, target: string): Request {
  const url = new URL(target, 'http://volumes');
  const [, teamId = '', groupId = '', volumeId = '', what = '', ...rest] = url.pathname.split('/');
  if (![teamId, groupId, volumeId].every((id) => ids.test(id)) || rest.length > 0)
    throw new SoulBoxError('bad_request', 'The path of the call names no volume.');
  return { place: { teamId, groupId, volumeId }, operation: `${method} ${what}`, query: url.searchParams };
}

/** An id in the query. Throws `bad_request`. */
export function idOf(query: URLSearchParams, name: string): string {
  const id = textOf(query, name);
  if (ids.test(id)) return id;
  throw new SoulBoxError('bad_request', `The ${name} of the call is no id.`);
}

export function textOf(query: URLSearchParams, name: string): string {
  const value = query.get(name);
  if (value === null) throw new SoulBoxError('bad_request', `The call has no ${name}.`);
  return value;
}

export function numberOf(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name);
  if (value === null) return undefined;
  const number = Number(value);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new SoulBoxError('bad_request', `The ${name} of the call is no number.`);
}

/** Those that the call gives. */
export function attributesOf(query: URLSearchParams): Attributes {
  const given = (['uid', 'gid', 'mode'] as const).map((name) => [name, numberOf(query, name)] as const);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

/** A range of bytes, the second one exclusive. Undefined: the whole file. `unsatisfiable`: behind its end. */
export function rangeOf(
  header: string | undefined,
  size: number,
): readonly [number, number] | 'unsatisfiable' | undefined {
  // One range in its usual forms. A server may ignore others.
  const [, first = '', last = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : [size - length, size];
  }
  const start = Number(first);
  if (start >= size) return 'unsatisfiable';
  if (last === '') return [start, size];
  return Number(last) < start ? undefined : [start, Math.min(Number(last) + 1, size)];
}
