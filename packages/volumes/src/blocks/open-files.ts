import { closeSync, constants, openSync } from 'node:fs';

const { O_CREAT, O_NOFOLLOW, O_RDWR } = constants;

export interface OpenFiles {
  /** Calls `use` with a descriptor of the file, which stays open at least until the promise of `use` is settled. */
  use<T>(path: string, create: boolean, use: (fd: number) => T): T;
  /** The file is gone. */
  forget(path: string): void;
  close(): void;
}

interface OpenFile {
  readonly fd: number;
  users: number;
  isForgotten: boolean;
}

/** Descriptors of the files that were used last, at most `limit` of them besides those in use. */
export function createOpenFiles(limit: number): OpenFiles {
  /** In the order of their last use. */
  const files = new Map<string, OpenFile>();
  const closeIfUnused = (file: OpenFile): void => {
    if (file.isForgotten && file.users === 0) closeSync(file.fd);
  };
  const forget = (path: string, file: OpenFile): void => {
    files.delete(path);
    file.isForgotten = true;
    closeIfUnused(file);
  };
  const open = (path: string, create: boolean): OpenFile => {
    const present = files.get(path);
    const file = present ?? {
      fd: openSync(path, O_RDWR | O_NOFOLLOW | (create ? O_CREAT : 0), 0o600),
      users: 0,
      isForgotten: false,
    };
    files.delete(path);
    files.set(path, file);
    if (present === undefined && files.size > limit)
      for (const [oldest, unused] of files) {
        forget(oldest, unused);
        break;
      }
    return file;
  };
  const leave = (file: OpenFile): void => {
    file.users -= 1;
    closeIfUnused(file);
  };
  return {
    use(path, create, use) {
      const file = open(path, create);
      file.users += 1;
      let isLater = false;
      try {
        const result = use(file.fd);
        if (result instanceof Promise) {
          isLater = true;
          const settled = (): void => {
            leave(file);
          };
          result.then(settled, settled);
        }
        return result;
      } finally {
        if (!isLater) leave(file);
      }
    },
    forget(path) {
      const file = files.get(path);
      if (file !== undefined) forget(path, file);
    },
    close() {
      for (const [path, file] of files) forget(path, file);
    },
  };
}
