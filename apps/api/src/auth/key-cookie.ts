import type { FastifyRequest } from 'fastify';

const name = 'soulbox_key';
/**
 * The path of the pages that need the cookie. No route of the API is below it: those accept a key only in a header,
 * which no other page can send.
 */
const path = '/dashboard';
/** Values that a cookie can contain unescaped. All our keys have this form. */
const valueForm = /^[A-Za-z0-9_.-]{1,256}$/;
const lifetimeSeconds = 8 * 3600;

/**
 * The key in the browser's cookie. Undefined when there is none or more than one, because a page of a subdomain can add
 * its own cookie.
 */
export function readKeyCookie(request: FastifyRequest): string | undefined {
  const pairs = (request.headers.cookie ?? '').split(';').map((pair) => pair.trim());
  const values = pairs.filter((pair) => pair.startsWith(`${name}=`)).map((pair) => pair.slice(name.length + 1));
  const [value] = values;
  return values.length === 1 && value !== undefined && valueForm.test(value) ? value : undefined;
}

export function canBeCookie(key: string): boolean {
  return valueForm.test(key);
}

/** The cookie is invisible to scripts, and requests from other sites do not include it. */
export function keyCookie(request: FastifyRequest, key: string): string {
  return cookie(request, key, lifetimeSeconds);
}

export function noKeyCookie(request: FastifyRequest): string {
  return cookie(request, '', 0);
}

function cookie(request: FastifyRequest, value: string, maxAge: number): string {
  // The header comes from the gateway. A browser would drop a Secure cookie that arrives over plain HTTP.
  const secure = request.headers['x-forwarded-proto'] === 'https' ? '; Secure' : '';
  return `${name}=${value}; Path=${path}; Max-Age=${maxAge}; HttpOnly; SameSite=Strict${secure}`;
}
