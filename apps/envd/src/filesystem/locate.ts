import type { HandlerContext } from '@connectrpc/connect';
import type { CallerContext } from '../users/caller.ts';
import { userByAuthorization } from '../users/caller.ts';
import type { User } from '../users/users.ts';
import { resolvePath } from './resolve-path.ts';

/** The absolute path of a request, and its caller. */
export function locate(context: CallerContext, call: HandlerContext, path: string): { path: string; user: User } {
  const user = userByAuthorization(context, call.requestHeader.get('authorization'));
  const workdir = context.settings.defaultWorkdir ?? user.home;
  return { path: resolvePath(path, { home: user.home, workdir }), user };
}
