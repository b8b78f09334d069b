import { Secret, SoulBoxError } from '@soulbox/base';

/** The host's settings for this sandbox. Each POST /init replaces them as a whole. */
export interface Settings {
  /** The environment of every process. Variables of a request override it. */
  readonly envVars: Readonly<Record<string, string>>;
  /** Required as `X-Access-Token`. Undefined: no token is required. */
  readonly accessToken: Secret | undefined;
  /** Undefined: `user` if the root file system has it, otherwise root. */
  readonly defaultUser: string | undefined;
  /** Undefined: the user's home. */
  readonly defaultWorkdir: string | undefined;
  /** Whether the output of commands goes into the log of the sandbox. */
  readonly logOutput: boolean;
}

export const initialSettings: Settings = {
  envVars: {},
  accessToken: undefined,
  defaultUser: undefined,
  defaultWorkdir: undefined,
  logOutput: false,
};

/** Parses the body of POST /init. Ignores unknown members. Throws bad_request for a wrong type. */
export function parseSettings(body: unknown): Settings {
  const members = body ?? {};
  if (!isRecord(members)) throw new SoulBoxError('bad_request', 'The request body must be a JSON object.');
  const accessToken = findText(members, 'accessToken');
  return {
    envVars: parseEnvVars(members['envVars']),
    accessToken: accessToken === undefined ? undefined : new Secret(accessToken),
    defaultUser: findText(members, 'defaultUser'),
    defaultWorkdir: findText(members, 'defaultWorkdir'),
    logOutput: members['logOutput'] === true,
  };
}

/** Whether the value is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A string member. Absent, null and empty all mean "not set". */
function findText(members: Record<string, unknown>, name: string): string | undefined {
  const value = members[name] ?? '';
  if (typeof value !== 'string' || value.includes('\0'))
    throw new SoulBoxError('bad_request', `${name} must be a string.`);
  return value === '' ? undefined : value;
}

function parseEnvVars(value: unknown): Record<string, string> {
  const members = value ?? {};
  if (!isRecord(members)) throw new SoulBoxError('bad_request', 'envVars must be an object of strings.');
  const envVars: Record<string, string> = {};
  for (const [name, text] of Object.entries(members)) {
    if (typeof text !== 'string') throw new SoulBoxError('bad_request', `envVars.${name} must be a string.`);
    checkVariable(name, text);
    envVars[name] = text;
  }
  return envVars;
}

/** Throws bad_request for variables that execve cannot pass. */
export function checkVariable(name: string, text: string): void {
  if (name === '' || name.includes('=') || name.includes('\0')) {
    throw new SoulBoxError('bad_request', `'${name}' is not a valid name of an environment variable.`);
  }
  if (text.includes('\0')) throw new SoulBoxError('bad_request', `The variable ${name} contains a NUL.`);
}
