import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, isIP } from 'node:net';
import type { LookupFunction, NetConnectOpts, Socket } from 'node:net';
import { ForbiddenAddressError, guardedLookup } from './guarded-lookup.ts';
import type { OutsidePolicy } from './outside-policy.ts';

/** The time from the first DNS request to a usable connection. Milliseconds. */
const connectTimeoutMs = 30_000;

/**
 * Connects to a place that a stranger named. It resolves the name, checks the address, and connects to exactly that
 * address. The socket belongs to the caller. Throws `ForbiddenAddressError`, or the network error.
 */
export type Reach = (host: string, port: number) => Promise<Socket>;

export interface ReachOptions {
  readonly policy: OutsidePolicy;
  /** Whether the operator has named this place. Such a place may have any address. */
  readonly isKnown: (host: string, port: number) => boolean;
  /** The operator's HTTP proxy for all other places. It receives the checked address. */
  readonly proxy?: URL | undefined;
}

export function createReach({ policy, isKnown, proxy }: ReachOptions): Reach {
  const lookup = guardedLookup((_, address) => policy.isOpen(address));
  return async (host, port) => {
    if (isKnown(host, port)) return await open({ host, port });
    if (isIP(host) !== 0 && !policy.isOpen(host)) throw new ForbiddenAddressError();
    if (proxy === undefined) return await open({ host, port, lookup });
    return await openThrough(proxy, isIP(host) === 0 ? await resolve(host, lookup) : host, port);
  };
}

async function open(to: NetConnectOpts): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    const socket = connect(to);
    const timer = setTimeout(() => socket.destroy(new Error('no connection in time')), connectTimeoutMs);
    socket.once('error', reject);
    socket.once('close', () => clearTimeout(timer));
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

async function openThrough(proxy: URL, address: string, port: number): Promise<Socket> {
  const send = proxy.protocol === 'https:' ? httpsRequest : httpRequest;
  const path = `${isIP(address) === 6 ? `[${address}]` : address}:${port}`;
  const { username, password } = proxy;
  const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64');
  const headers = { host: path, ...(username === '' ? {} : { 'proxy-authorization': `Basic ${login}` }) };
  const { hostname, port: proxyPort } = proxy;
  return await new Promise((resolve, reject) => {
    const to = { host: hostname, ...(proxyPort === '' ? {} : { port: proxyPort }), method: 'CONNECT', path, headers };
    const request = send({ ...to, agent: false, timeout: connectTimeoutMs });
    request.on('timeout', () => request.destroy(new Error('the proxy did not respond in time')));
    request.on('error', reject);
    request.on('response', () => request.destroy(new Error('the proxy did not connect')));
    request.on('connect', (answer, socket, head) => {
      if (answer.statusCode === 200) {
        socket.setTimeout(0);
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
        return;
      }
      socket.destroy();
      reject(new Error(`the proxy returned status ${answer.statusCode ?? 0}`));
    });
    request.end();
  });
}

async function resolve(host: string, lookup: LookupFunction): Promise<string> {
  return await new Promise((done, reject) => {
    lookup(host, {}, (error, address) => {
      if (error === null && typeof address === 'string') done(address);
      else reject(error ?? new ForbiddenAddressError());
    });
  });
}
