import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { constantTimeEqual } from '@soulbox/base';
import type { Secret } from '@soulbox/base';

/** Values of people that the server recognizes without storing them. All keys are derived from one secret of the server. */
export interface PeopleSecrets {
  createSession(): { readonly value: string; readonly hash: string };
  createToken(): { readonly value: string; readonly hash: string };
  hashOf(kind: 'session' | 'token', value: string): string;
  /** What a page of this session sends with each change. */
  csrfTokenOf(sessionId: string): string;
  /** A text of ours that a browser keeps: it cannot change it. */
  seal(text: string): string;
  /** Undefined if it is not ours. */
  open(sealed: string): string | undefined;
  /** A value that only follows from a seed and this server's secret, base64url. */
  derive(purpose: string, seed: string): string;
}

const randomLength = 32;
/** Secret scanners recognize it. */
export const tokenPrefix = 'sbp_';
const tokenBytes = 20;

export function createPeopleSecrets(root: Secret): PeopleSecrets {
  const key = Buffer.from(hkdfSync('sha256', root.reveal(), '', 'soulbox people 1', 32));
  const mac = (purpose: string, text: string): Buffer =>
    createHmac('sha256', key).update(`${purpose}\0${text}`).digest();
  const hashOf: PeopleSecrets['hashOf'] = (kind, value) => mac(kind, value).toString('hex');
  const derive: PeopleSecrets['derive'] = (purpose, seed) => mac(purpose, seed).toString('base64url');
  return {
    createSession: () => {
      const value = randomBytes(randomLength).toString('base64url');
      return { value, hash: hashOf('session', value) };
    },
    createToken: () => {
      const value = tokenPrefix + randomBytes(tokenBytes).toString('hex');
      return { value, hash: hashOf('token', value) };
    },
    hashOf,
    csrfTokenOf: (sessionId) => derive('csrf', sessionId),
    seal: (text) => {
      const payload = Buffer.from(text).toString('base64url');
      return `${payload}.${derive('seal', payload)}`;
    },
    open: (sealed) => {
      const [payload = '', tag = '', ...rest] = sealed.split('.');
      if (rest.length > 0 || !constantTimeEqual(tag, derive('seal', payload))) return undefined;
      return Buffer.from(payload, 'base64url').toString();
    },
    derive,
  };
}
