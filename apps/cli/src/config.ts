import { join, resolve } from 'node:path';

/** The environment of the CLI; the one place that reads it. */
export const environment: Readonly<Record<string, string | undefined>> = process.env;

/**
 * Where systemd waits for what sd_notify(3) says; undefined under no service manager. Taken out of the environment: crun would pass it on to
 * sandboxes and wait for them to answer.
 */
export const notifySocket = process.env['NOTIFY_SOCKET'];
delete process.env['NOTIFY_SOCKET'];

/**
 * A process that has prepared everything for the server becomes the server by execve(2), which keeps its id: the mark holds that id. Taken
 * out of the environment, for it means nothing to anybody else.
 */
export const isPrepared: boolean = process.env['SOULBOX_UP_PREPARED'] === String(process.pid);
delete process.env['SOULBOX_UP_PREPARED'];

/** The environment of this process as it was, with the mark. */
export function markedEnvironment(): NodeJS.ProcessEnv {
  const notify = notifySocket === undefined ? {} : { NOTIFY_SOCKET: notifySocket };
  return { ...environment, ...notify, SOULBOX_UP_PREPARED: String(process.pid) };
}

/** What the server's processes and their tools inherit. Settings reach them in another way, which no list of processes shows. */
export function inheritedEnvironment(): Record<string, string> {
  const entries = Object.entries(environment).filter(([name]) => !/^(SOULBOX_|E2B_|NODE_)/.test(name));
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

const defaultDataDirectory = '/var/lib/soulbox';

/** Folders a command works on. Flags win over SOULBOX_DATA_DIR and SOULBOX_TEMPLATES_DIR; docs/config.md has them. */
export interface Folders {
  readonly dataDirectory: string;
  readonly templatesDirectory: string;
}

export function resolveFolders(dataDirFlag: string | undefined): Folders {
  const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text);
  const dataDirectory = resolve(
    nonEmpty(dataDirFlag) ?? nonEmpty(environment['SOULBOX_DATA_DIR']) ?? defaultDataDirectory,
  );
  return {
    dataDirectory,
    templatesDirectory: nonEmpty(environment['SOULBOX_TEMPLATES_DIR']) ?? join(dataDirectory, 'templates'),
  };
}
