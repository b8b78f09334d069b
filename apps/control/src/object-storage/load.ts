/**
 * Loads the code that only a host with an object store needs. Called first before the privileges are gone, and always from
 * here: Node looks for the file again if another module imports it, and the folders above an installation may be closed to
 * other users.
 */
export async function loadObjectStorage() {
  const [{ connectRecordUpload }, { readObjectCache }] = await Promise.all([
    import('./connect.ts'),
    import('./read-cache.ts'),
  ]);
  return { connectRecordUpload, readObjectCache };
}
