import { join } from 'node:path';
import { listProject, localFilesError, openBlob, packFiles } from '@soulbox/local-files';
import type { LocalFolder } from './local-folder.ts';

export type { LocalFolder, PackedFiles } from './local-folder.ts';

/** The options of {@link folder}. */
export interface FolderOptions {
  /**
   * Patterns of what a `COPY` leaves out, beside those of the `.dockerignore` of the folder, in its form: from the
   * folder on, `**` for any number of folders, `!` takes a path back. Default: none.
   */
  readonly ignore?: readonly string[] | undefined;
}

/**
 * A folder on this machine: `COPY` of `templates.build` reads from it, and `sandbox.run` runs it. Nothing is read
 * before. Links below it are copied as links, and a run leaves them out.
 *
 * A run leaves out `.git`, `node_modules`, `.venv`, `__pycache__` and `.soulbox`, and takes at most 5000 files with 256
 * MiB together. A `COPY` takes at most 200,000 entries, and packs them in a temporary file.
 */
export function folder(path: string, { ignore = [] }: FolderOptions = {}): LocalFolder {
  return {
    list: async () => await listProject(path),
    read: async (file) =>
      await openBlob(join(path, file)).catch((error: unknown) => {
        throw localFilesError(file, error);
      }),
    pack: async (source) => await packFiles(path, source, ignore),
  };
}
