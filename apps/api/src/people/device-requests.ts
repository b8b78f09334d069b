import { randomBytes, randomInt } from 'node:crypto';
import { addressGroup, SoulBoxError } from '@soulbox/base';
import type { Clock } from '@soulbox/base';

/** The person who decides, and the session in which they do. */
export interface Approver {
  readonly userId: string;
  readonly sessionId: string;
}

/** A program that asks a person for access (RFC 8628). */
export interface DeviceRequest {
  /** What the person types, such as `BCDF-GHJK`. */
  readonly userCode: string;
  /** Of the program, as it says itself. */
  readonly client: string;
  /** Of the program. */
  readonly address: string;
  readonly expiresAt: number;
  /** Undefined while nobody has decided. */
  readonly decision: (Approver & { readonly isAllowed: boolean }) | undefined;
}

export interface DeviceRequests {
  /** Throws `limit_exceeded`. */
  start(client: string, address: string): { readonly deviceCode: string; readonly request: DeviceRequest };
  /** By the code as a person typed it. */
  find(userCode: string): DeviceRequest | undefined;
  /** False if the request is gone, or decided. */
  decide(userCode: string, approver: Approver, isAllowed: boolean): boolean;
  /** For the program that polls. A decision is returned once. */
  poll(deviceCode: string): 'expired' | 'pending' | 'too_fast' | 'denied' | (Approver & { readonly client: string });
}

export const deviceSeconds = 600;
/** Seconds between two polls of a program. */
export const pollSeconds = 5;
/** Programs that wait, together and for one address. More are refused: none is dropped early. */
const requestsMax = 1000;
const requestsOfAddressMax = 10;
/** Consonants without those that look alike or form words, as RFC 8628 (6.1) suggests. */
const letters = 'BCDFGHJKLMNPQRSTVWXZ';
const codeLength = 8;

interface Entry {
  request: DeviceRequest;
  nextPollAt: number;
}

/** Requests are kept in memory: after a restart, programs start again. */
export function createDeviceRequests(clock: Clock): DeviceRequests {
  const byDevice = new Map<string, Entry>();
  const live = (): [string, Entry][] => {
    const now = clock.now();
    for (const [code, { request }] of byDevice) if (request.expiresAt <= now) byDevice.delete(code);
    return [...byDevice];
  };
  const findEntry = (typed: string): Entry | undefined => {
    const code = typed.toUpperCase().replaceAll(/[^A-Z]/g, '');
    return live().find(([, { request }]) => request.userCode.replace('-', '') === code)?.[1];
  };

  return {
    start(client, address) {
      const entries = live();
      const group = addressGroup(address);
      const own = entries.filter(([, { request }]) => addressGroup(request.address) === group);
      if (entries.length >= requestsMax || own.length >= requestsOfAddressMax)
        throw new SoulBoxError('limit_exceeded', 'Too many programs wait for a person. Retry in a few minutes.');
      const deviceCode = randomBytes(32).toString('base64url');
      const userCode = createUserCode();
      const now = clock.now();
      const request = { userCode, client, address, expiresAt: now + deviceSeconds * 1000, decision: undefined };
      byDevice.set(deviceCode, { request, nextPollAt: now });
      return { deviceCode, request };
    },
    find: (userCode) => findEntry(userCode)?.request,
    decide(userCode, { userId, sessionId }, isAllowed) {
      const entry = findEntry(userCode);
      if (entry === undefined || entry.request.decision !== undefined) return false;
      entry.request = { ...entry.request, decision: { userId, sessionId, isAllowed } };
      return true;
    },
    poll(deviceCode) {
      const now = clock.now();
      const entry = byDevice.get(deviceCode);
      if (entry === undefined || entry.request.expiresAt <= now) return 'expired';
      const { decision } = entry.request;
      if (decision === undefined) {
        const isTooFast = now < entry.nextPollAt;
        // A second of grace for the way.
        entry.nextPollAt = now + (pollSeconds - 1) * 1000;
        return isTooFast ? 'too_fast' : 'pending';
      }
      byDevice.delete(deviceCode);
      const { userId, sessionId, isAllowed } = decision;
      return isAllowed ? { userId, sessionId, client: entry.request.client } : 'denied';
    },
  };
}

function createUserCode(): string {
  const code = Array.from({ length: codeLength }, () => letters.charAt(randomInt(letters.length))).join('');
  return `${code.slice(0, codeLength / 2)}-${code.slice(codeLength / 2)}`;
}
