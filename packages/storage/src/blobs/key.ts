import { SoulBoxError } from '@soulbox/base';

const maxLength = 200;
const keyForm = /^[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/;

/** No part of a key is empty, `.` or `..`, so that a backend may use parts as file names. Throws `bad_request`. */
export function checkBlobKey(key: string): void {
  if (isBlobKey(key)) return;
  throw new SoulBoxError('bad_request', `${JSON.stringify(key.slice(0, maxLength + 1))} is not a valid blob key.`);
}

export function isBlobKey(key: string): boolean {
  return key.length <= maxLength && keyForm.test(key);
}
