import { SoulBoxError } from '@soulbox/base';
import type { Settings } from '../settings.ts';
import type { User, Users } from './users.ts';

/** The data that identifies a caller. Settings change at each POST /init. */
export interface CallerContext {
  readonly users: Users;
  readonly settings: Settings;
}

const customaryUser = 'user';

/** The user that acts if a request names none. */
export function defaultUser(users: Users, settings: Settings): User {
  return users.get(settings.defaultUser ?? (users.has(customaryUser) ? customaryUser : 'root'));
}

/** The user named in a query or a body. An empty name means the default user. Throws unknown_user. */
export function userByName(users: Users, settings: Settings, name: string): User {
  return name === '' ? defaultUser(users, settings) : users.get(name);
}

/** The user of an RPC: `Authorization: Basic base64("name:")` with an empty password. Throws unknown_user. */
export function userByAuthorization({ users, settings }: CallerContext, header: string | null): User {
  if (header === null || header === '') return defaultUser(users, settings);
  const encoded = /^basic ([A-Za-z0-9+/_=-]*)$/i.exec(header.trim())?.[1];
  if (encoded === undefined) {
    throw new SoulBoxError('unknown_user', 'The Authorization header must name a user in the Basic form.');
  }
  const [name = ''] = Buffer.from(encoded, 'base64').toString('utf8').split(':');
  return userByName(users, settings, name);
}
