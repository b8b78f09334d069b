/** A folder of the user that cannot be used as it is. The message is for the user. */
export class LocalFilesError extends Error {
  override readonly name = 'LocalFilesError';
}

/** What is missing, or may not be read, is a fault of the user; anything else is not. */
export function localFilesError(path: string, thrown: unknown): unknown {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  const fault = faults[String(code)];
  return fault === undefined ? thrown : new LocalFilesError(`${JSON.stringify(path)} ${fault}.`, { cause: thrown });
}

const faults: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist',
  EACCES: 'may not be read',
  EPERM: 'may not be read',
  // Of `openAsBlob`, which does not say more.
  ERR_INVALID_ARG_VALUE: 'does not exist or may not be read',
};
