import type { FastifyRequest } from 'fastify';

const name = 'soulbox_key';
/** The pages that need it, and no route of the API: those take a key in a header only, which no other page can send. */
const path = '/dashboard';
/** What a cookie can hold as it is; every key of ours has this form. */
const valueForm = /^[A-Za-z0-9_.-]{1,256}$/;
const lifetimeSeconds = 8 * 3600;

/** The key that the browser keeps; undefined for none, or for more than one: a page of a subdomain can add a cookie of its own. */
export function readKeyCookie(request: FastifyRequest): string | undefined {
  const pairs = (request.headers.cookie ?? '').split(';').map((pair) => pair.trim());
  const values = pairs.filter((pair) => pair.startsWith(`${name}=`)).map((pair) => pair.slice(name.length + 1));
  const [value] = values;
  return values.length === 1 && value !== undefined && valueForm.test(value) ? value : undefined;
}

export function canBeCookie(key: string): boolean {
  return valueForm.test(key);
}

/** No script sees it, and no other site's request carries it. */
export function keyCookie(request: FastifyRequest, key: string): string {
  return cookie(request, key, lifetimeSeconds);
}

export function noKeyCookie(request: FastifyRequest): string {
  return cookie(request, '', 0);
}

function cookie(request: FastifyRequest, value: string, maxAge: number): string {
  // The gateway says it; a browser would drop a Secure cookie that came by plain HTTP.
  const secure = request.headers['x-forwarded-proto'] === 'https' ? '; Secure' : '';
  return `${name}=${value}; Path=${path}; Max-Age=${maxAge}; HttpOnly; SameSite=Strict${secure}`;
}
