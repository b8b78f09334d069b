import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** The environment of the CLI. No other file reads it. */
export const environment: Readonly<Record<string, string | undefined>> = process.env;

/**
 * The socket on which systemd expects the messages of sd_notify(3). Undefined without a service manager. Removed from
 * the environment because crun would pass it to sandboxes and wait for their reply.
 */
export const notifySocket = process.env['NOTIFY_SOCKET'];
delete process.env['NOTIFY_SOCKET'];

/**
 * True after the preparation: the process that has prepared everything becomes the server by execve(2), which keeps its
 * id. The mark contains that id. Removed from the environment because no other program uses it.
 */
export const isPrepared: boolean = process.env['SOULBOX_UP_PREPARED'] === String(process.pid);
delete process.env['SOULBOX_UP_PREPARED'];

/** Removed from the environment because it is a setting of the client, which the server would refuse. */
let contextName = process.env['SOULBOX_CONTEXT'] ?? '';
delete process.env['SOULBOX_CONTEXT'];

/** The context of `--context`, otherwise of SOULBOX_CONTEXT. */
export function readContextName(): string | undefined {
  return contextName === '' ? undefined : contextName;
}

/** Called once, for the command line of this process. */
export function chooseContext(name: string): void {
  contextName = name;
}

/** Removed from the environment because they are settings of the client, which the server would refuse. */
export const retryAttemptsVariable = process.env['SOULBOX_RETRY_ATTEMPTS'];
delete process.env['SOULBOX_RETRY_ATTEMPTS'];
export const outputVariable = process.env['SOULBOX_OUTPUT'];
delete process.env['SOULBOX_OUTPUT'];
const events = process.env['SOULBOX_EVENTS'] ?? '';
delete process.env['SOULBOX_EVENTS'];

/** Whether standard error shows what happens to connections. */
export function showsEvents(): boolean {
  return events !== '' && events !== '0';
}

/** Node reads these variables for each styled text. Called only if none of them is set. */
export function setColors(mode: 'always' | 'never'): void {
  process.env[mode === 'never' ? 'NO_COLOR' : 'FORCE_COLOR'] = '1';
}

/** The launcher of a clone sets it for this process alone. */
delete process.env['NODE_COMPILE_CACHE'];

/** The original environment of this process, with the mark and with these variables. */
export function markedEnvironment(variables: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const notify = notifySocket === undefined ? {} : { NOTIFY_SOCKET: notifySocket };
  return { ...environment, ...notify, ...variables, SOULBOX_UP_PREPARED: String(process.pid) };
}

/**
 * The environment for the server's processes and their tools. Settings are passed in another way, which process lists
 * do not show.
 */
export function inheritedEnvironment(): Record<string, string> {
  const entries = Object.entries(environment).filter(([name]) => !/^(SOULBOX_|E2B_|NODE_)/.test(name));
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** Of the commands `soulbox storage`, which work without a server. */
export function storageVariables(): Readonly<Record<'url' | 'credentialsFile' | 'keyFile', string | undefined>> {
  const read = (name: string): string | undefined => (environment[name] === '' ? undefined : environment[name]);
  return {
    url: read('SOULBOX_STORAGE'),
    credentialsFile: read('SOULBOX_STORAGE_CREDENTIALS_FILE'),
    keyFile: read('SOULBOX_STORAGE_KEY_FILE'),
  };
}

/** The folder of what belongs to the person who runs the CLI. */
export function userConfigFolder(): string {
  const home = environment['XDG_CONFIG_HOME'] ?? '';
  return join(home === '' ? join(homedir(), '.config') : home, 'soulbox');
}

const defaultDataDirectory = '/var/lib/soulbox';

/**
 * Folders of a command. Flags take precedence over SOULBOX_DATA_DIR and SOULBOX_TEMPLATES_DIR, which docs/config.md
 * describes.
 */
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
