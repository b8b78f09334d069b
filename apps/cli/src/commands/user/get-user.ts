import { SoulBoxError } from '@soulbox/base';
import type { Records, UserRecord } from '@soulbox/storage';

/** The user with this id or address. Throws `user_not_found`, and `bad_request` when several have the address. */
export async function getUser(records: Records, text: string): Promise<UserRecord> {
  const matches = (await records.users.list()).filter(({ id, email }) => id === text || email === text.toLowerCase());
  const [user] = matches;
  if (user === undefined || text === '')
    throw new SoulBoxError(
      'user_not_found',
      `User ${JSON.stringify(text)} was not found. List them with "soulbox user list".`,
    );
  if (matches.length > 1)
    throw new SoulBoxError(
      'bad_request',
      `${matches.length} users have the address ${JSON.stringify(text)}. Use the id.`,
    );
  return user;
}
