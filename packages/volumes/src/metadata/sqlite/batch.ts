import type { DatabaseSync } from 'node:sqlite';
import { FuseError } from '@soulbox/fuse';
import { isNoRoom } from './errors.ts';

/** Work of one turn of the event loop at most: more waits would only make each answer later. */
const worksPerBatch = 512;

export interface Batch {
  /**
   * Carries `work` out at once, and settles when it is committed. `work` throws a `FuseError` before it changes
   * anything, or not at all. It may run twice, the second time after everything was undone.
   */
  run<T>(work: () => T): Promise<T>;
  /** Settled when everything of before is committed or has failed; undefined if nothing is open. */
  settled(): Promise<void> | undefined;
  /** Commits what is open. */
  flush(): void;
}

export interface BatchOptions {
  /** Before a commit, in its transaction. */
  readonly beforeCommit: () => void;
  readonly afterCommit: () => void;
  /** What is in memory must be read again. */
  readonly afterRollback: () => void;
  /** Releases space for changes that a full disk refused. False if there is none. */
  readonly makeRoom: () => boolean;
}

interface Work {
  readonly run: () => void;
  readonly settle: () => void;
  readonly fail: (error: unknown) => void;
}

/**
 * One transaction for all changes of one turn of the event loop. A change sees those of before it, committed or not.
 * If the commit fails, none of them has happened, and all of them fail.
 */
export function createBatch(db: DatabaseSync, options: BatchOptions): Batch {
  const begin = db.prepare('BEGIN IMMEDIATE');
  const commit = db.prepare('COMMIT');
  let works: Work[] = [];
  let timer: NodeJS.Immediate | undefined;
  let end: PromiseWithResolvers<void> | undefined;

  const rollBack = (): void => {
    // After some errors, a full disk among them, SQLite has done it already.
    if (db.isTransaction) db.exec('ROLLBACK');
    options.afterRollback();
  };
  const runAll = (): void => {
    if (!db.isTransaction) begin.run();
    for (const work of works) work.run();
    options.beforeCommit();
    commit.run();
  };
  const close = (): void => {
    if (timer !== undefined) clearImmediate(timer);
    timer = undefined;
    const [done, ended] = [works, end];
    works = [];
    end = undefined;
    options.afterCommit();
    for (const work of done) work.settle();
    ended?.resolve();
  };
  const failAll = (thrown: unknown): void => {
    const error = isNoRoom(thrown)
      ? new FuseError('ENOSPC', 'The disk of the host is full.')
      : new FuseError('EIO', `The metadata cannot be written: ${String(thrown)}`);
    if (timer !== undefined) clearImmediate(timer);
    timer = undefined;
    const [failed, ended] = [works, end];
    works = [];
    end = undefined;
    for (const work of failed) work.fail(error);
    ended?.resolve();
  };
  /** Everything was undone by an error: once more with space of the reserve, if that is what was missing. */
  const repeat = (thrown: unknown): void => {
    let error = thrown;
    for (;;) {
      rollBack();
      if (!isNoRoom(error) || !options.makeRoom()) break;
      try {
        runAll();
        close();
        return;
      } catch (again) {
        error = again;
      }
    }
    failAll(error);
  };
  const flush = (): void => {
    if (end === undefined) return;
    try {
      options.beforeCommit();
      commit.run();
    } catch (thrown) {
      repeat(thrown);
      return;
    }
    close();
  };

  return {
    run<T>(work: () => T): Promise<T> {
      if (works.length >= worksPerBatch) flush();
      if (end === undefined) {
        try {
          begin.run();
        } catch (thrown) {
          return Promise.reject(
            isNoRoom(thrown) ? new FuseError('ENOSPC') : new FuseError('EIO', `No transaction: ${String(thrown)}`),
          );
        }
        end = Promise.withResolvers();
        timer = setImmediate(flush);
      }
      let result: { readonly value: T } | { readonly error: FuseError } | undefined;
      const attempt = (): void => {
        try {
          result = { value: work() };
        } catch (thrown) {
          if (!(thrown instanceof FuseError)) throw thrown;
          result = { error: thrown };
        }
      };
      return new Promise<T>((resolve, reject) => {
        works.push({
          run: attempt,
          settle() {
            if (result === undefined) reject(new FuseError('EIO'));
            else if ('value' in result) resolve(result.value);
            else reject(result.error);
          },
          fail: reject,
        });
        try {
          attempt();
        } catch (thrown) {
          repeat(thrown);
        }
      });
    },
    settled: () => end?.promise,
    flush,
  };
}
