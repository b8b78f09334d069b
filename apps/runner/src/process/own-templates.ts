import { mkdir, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * The folder of the templates if it is in the data folder, and may be a mount. It is created if it is missing. Undefined:
 * it is elsewhere, also by a link, and other servers, which have no key of this one, may share it.
 */
export async function findOwnTemplates(dataDirectory: string, templatesDirectory: string): Promise<string | undefined> {
  await mkdir(templatesDirectory, { recursive: true, mode: 0o700 });
  const [templates, data] = await Promise.all([realpath(templatesDirectory), realpath(dataDirectory)]);
  return dirname(templates) === data ? templates : undefined;
}
