import { posix } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { createFiles, createPrograms, errorFromEnvd, printable } from '@soulbox/envd-client';
import type { Files, Programs } from '@soulbox/envd-client';
import { createClosableDial } from '../envd/closable-dial.ts';
import { launcherProgram } from './launcher.ts';
import type { RunningSandbox } from '../registry/table.ts';

/** The connections of one run into one sandbox, as one user. Disposing it cuts them. */
export interface RunSession extends Disposable {
  readonly sandbox: RunningSandbox;
  readonly files: Files;
  readonly programs: Programs;
  readonly user: string;
  /** Whether the sandbox has the launcher, which limits and measures programs. */
  readonly hasLauncher: Promise<boolean>;
}

export function openRunSession(sandbox: RunningSandbox, wantedUser: string): RunSession {
  const { envdAccessToken, settings } = sandbox.record.tenant;
  const user = wantedUser === '' ? settings.defaultUser : wantedUser;
  const way = createClosableDial(sandbox.live.dial);
  const programs = createPrograms(way.dial, envdAccessToken);
  const files = createFiles(way.dial, envdAccessToken, user);
  return {
    sandbox,
    files,
    programs: {
      ...programs,
      run: async (program, onOutput) =>
        await programs.run(program, onOutput).catch((thrown: unknown) => {
          throw errorFromEnvd(thrown);
        }),
    },
    user,
    // This check runs while the program is inspected.
    hasLauncher: files.stat(launcherProgram).then(
      ({ kind }) => kind === 'file',
      () => false,
    ),
    [Symbol.dispose]() {
      way[Symbol.dispose]();
    },
  };
}

/** The absolute form of a path in the sandbox. A relative path starts at `folder`. envd expands `~`. */
export function pathFrom(folder: string, path: string): string {
  return path.startsWith('~') ? path : posix.resolve(folder, path);
}

/** The absolute path of a folder. Throws for anything else. */
export async function getFolder(files: Files, path: string): Promise<string> {
  const found = await files.stat(path);
  if (found.kind !== 'folder') throw new SoulBoxError('not_a_directory', `${printable(found.path)} is not a folder.`);
  return found.path;
}

/** The absolute path of a plain file. Throws for anything else. */
export async function getFile(files: Files, path: string): Promise<string> {
  const found = await files.stat(path);
  if (found.kind === 'folder')
    throw new SoulBoxError('bad_path', `${printable(found.path)} is a folder. Run it as a project.`);
  if (found.kind !== 'file') throw new SoulBoxError('bad_path', `${printable(found.path)} is not a regular file.`);
  return found.path;
}
