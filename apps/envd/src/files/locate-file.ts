import type { Context } from '../context.ts';
import { resolvePath } from '../filesystem/resolve-path.ts';
import { userByName } from '../users/caller.ts';
import type { User } from '../users/users.ts';

/** Makes a path in a file request absolute, for the user named in the query. Throws unknown_user and bad_path. */
export function locateFile(context: Context, username: string, path: string): { path: string; user: User } {
  const user = userByName(context.users, context.settings, username);
  const workdir = context.settings.defaultWorkdir ?? user.home;
  return { path: resolvePath(path, { home: user.home, workdir }), user };
}
