import { rename, rm } from 'node:fs/promises';
import { posix } from 'node:path';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import type { Filesystem } from '@soulbox/contract/filesystem';
import type { Context } from '../context.ts';
import type { User } from '../users/users.ts';
import { userByAuthorization } from '../users/caller.ts';
import { watchMethods } from '../watch/watch-methods.ts';
import { readEntryInfo } from './entry-info.ts';
import { listDirectory } from './list-directory.ts';
import { makeDirectories } from './make-directories.ts';
import { namingPath } from './path-error.ts';
import { resolvePath } from './resolve-path.ts';

/** filesystem.Filesystem. envd works as root; what it makes belongs to the calling user. */
export function filesystemService(context: Context): ServiceImpl<typeof Filesystem> {
  const { users } = context;
  return {
    async stat({ path }, call) {
      const absolute = locate(context, call, path).path;
      return { entry: await namingPath(absolute, async () => await readEntryInfo(absolute, users)) };
    },

    async listDir({ path, depth }, call) {
      const absolute = locate(context, call, path).path;
      // 0 is what an absent depth looks like.
      return {
        entries: await namingPath(absolute, async () => await listDirectory(absolute, Math.max(depth, 1), users)),
      };
    },

    async makeDir({ path }, call) {
      const { path: absolute, user } = locate(context, call, path);
      return await namingPath(absolute, async () => {
        if (!(await makeDirectories(absolute, user))) {
          throw new SoulBoxError('file_exists', `directory already exists: ${absolute}`);
        }
        return { entry: await readEntryInfo(absolute, users) };
      });
    },

    async move({ source, destination }, call) {
      refuseEmpty(source, 'source');
      refuseEmpty(destination, 'destination');
      const from = locate(context, call, source).path;
      const { path: to, user } = locate(context, call, destination);
      await namingPath(from, async () => await readEntryInfo(from, users));
      await namingPath(to, async () => {
        await makeDirectories(posix.dirname(to), user);
        await rename(from, to);
      });
      return { entry: await namingPath(to, async () => await readEntryInfo(to, users)) };
    },

    async remove({ path }, call) {
      refuseEmpty(path, 'path');
      const absolute = locate(context, call, path).path;
      if (absolute === '/') throw new SoulBoxError('bad_path', 'The root directory cannot be removed.');
      await namingPath(absolute, async () => await rm(absolute, { recursive: true, force: true }));
      return {};
    },

    ...watchMethods(context),
  };
}

/** An empty path means the working directory. A request that lacks its path must not move or remove that. */
function refuseEmpty(path: string, field: string): void {
  if (path === '') throw new SoulBoxError('bad_path', `The field "${field}" is missing.`);
}

/** The absolute path that the caller means, and who the caller is. */
export function locate(context: Context, call: HandlerContext, path: string): { path: string; user: User } {
  const user = userByAuthorization(context.users, context.settings, call.requestHeader.get('authorization'));
  const workdir = context.settings.defaultWorkdir ?? user.home;
  return { path: resolvePath(path, { home: user.home, workdir }), user };
}
