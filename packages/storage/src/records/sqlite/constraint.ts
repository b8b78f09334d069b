import { isNodeError } from '@soulbox/base';

/** Extended result codes of sqlite.org/rescode.html: a primary key or a unique index refused the row. */
const duplicateCodes: readonly unknown[] = [1555, 2067];
const foreignKeyCode = 787;

/** Whether a write was refused because such a row exists. */
export function isDuplicate(thrown: unknown): boolean {
  return isNodeError(thrown) && duplicateCodes.includes((thrown as { errcode?: unknown }).errcode);
}

/** Whether the row names a parent (a team) that does not exist. */
export function isMissingParent(thrown: unknown): boolean {
  return isNodeError(thrown) && (thrown as { errcode?: unknown }).errcode === foreignKeyCode;
}
