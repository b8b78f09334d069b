import type { FastifyRequest } from 'fastify';
import type { People } from '../people/people.ts';

/** A cookie of sign-in. `session`: of a signed-in browser. `sign-in`: of a browser that is at the provider. */
export type CookieName = 'session' | 'sign-in';

type Where = Pick<People, 'isSecure'>;

/**
 * With TLS the browser itself makes sure that only this host, over TLS, has set the cookie (`__Host-`, RFC 6265bis). A
 * browser would not store such a cookie over plain HTTP, which sign-in allows on this host only.
 */
function fullName(name: CookieName, { isSecure }: Where): string {
  return `${isSecure ? '__Host-' : ''}soulbox_${name.replace('-', '_')}`;
}

const valueForm = /^[A-Za-z0-9_.-]{1,2048}$/;

/** Undefined when there is none or more than one. */
export function readCookie(request: FastifyRequest, name: CookieName, where: Where): string | undefined {
  const start = `${fullName(name, where)}=`;
  const pairs = (request.headers.cookie ?? '').split(';').map((pair) => pair.trim());
  const values = pairs.filter((pair) => pair.startsWith(start)).map((pair) => pair.slice(start.length));
  const [value] = values;
  return values.length === 1 && value !== undefined && valueForm.test(value) ? value : undefined;
}

/**
 * Lax: the provider sends the browser back by a link from its own site, and the cookie must come with it. Changes need
 * more than the cookie.
 */
export function setCookie(name: CookieName, value: string, seconds: number, where: Where): string {
  const secure = where.isSecure ? '; Secure' : '';
  return `${fullName(name, where)}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Lax${secure}`;
}

export function clearCookie(name: CookieName, where: Where): string {
  return setCookie(name, '', 0, where);
}
