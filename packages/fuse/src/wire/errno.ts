import { constants } from 'node:os';
import { FuseError, type FuseErrorCode } from '../fuse-fs.ts';

/** The number of an error, positive. */
export function errnoOf(code: FuseErrorCode): number {
  return constants.errno[code];
}

export function isFuseError(error: unknown): error is FuseError {
  return error instanceof FuseError;
}
