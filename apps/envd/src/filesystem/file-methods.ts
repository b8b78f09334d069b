import { rename, rm } from 'node:fs/promises';
import { posix } from 'node:path';
import type { ServiceImpl } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import type { Filesystem } from '@soulbox/contract/filesystem';
import type { CallerContext } from '../users/caller.ts';
import { readEntryInfo } from './entry-info.ts';
import { listDirectory } from './list-directory.ts';
import { locate } from './locate.ts';
import { makeDirectories } from './make-directories.ts';
import { namingPath } from './path-error.ts';

type FileMethod = 'stat' | 'listDir' | 'makeDir' | 'move' | 'remove';

/**
 * filesystem.Filesystem without the watch methods. envd works as root; entries that it creates belong to the calling
 * user.
 */
export function fileMethods(context: CallerContext): Pick<ServiceImpl<typeof Filesystem>, FileMethod> {
  const { users } = context;
  return {
    async stat({ path }, call) {
      const absolute = locate(context, call, path).path;
      return { entry: await namingPath(absolute, async () => await readEntryInfo(absolute, users)) };
    },

    async listDir({ path, depth }, call) {
      const absolute = locate(context, call, path).path;
      // An absent depth is 0.
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
  };
}

/** An empty path means the working directory. A request without a path must not move or remove that. */
function refuseEmpty(path: string, field: string): void {
  if (path === '') throw new SoulBoxError('bad_path', `The field "${field}" is missing.`);
}
