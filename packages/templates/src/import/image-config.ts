import { arch } from 'node:os';
import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';

const text = z.string().max(65_536);
const form = z.object({
  architecture: text,
  os: text,
  config: z
    .object({
      User: text.nullish(),
      Env: z.array(text).max(1000).nullish(),
      WorkingDir: z.string().max(4096).nullish(),
    })
    .nullish(),
});

/** The parts of an image's configuration that a template keeps. */
export interface ImageConfig {
  /** `name`, `uid`, `name:group` or `uid:gid` as given in the image; empty if it names none. */
  readonly user: string;
  /** Empty if the image names none; builders also write `/` for none. */
  readonly workdir: string;
  readonly environment: Readonly<Record<string, string>>;
}

export const emptyImageConfig: ImageConfig = { user: '', workdir: '', environment: {} };

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** Parses the image configuration of the OCI image specification. Throws `bad_request` if it is not for this host. */
export function parseImageConfig(json: string, what: string, hostArchitecture = arch()): ImageConfig {
  const parsed = form.safeParse(parseJson(json));
  if (!parsed.success) throw new SoulBoxError('bad_request', `${what} does not have a valid image configuration.`);
  const { os, architecture, config } = parsed.data;
  if (os !== 'linux' || architecture !== architectures[hostArchitecture]) {
    throw new SoulBoxError(
      'bad_request',
      `${what} is for ${os}/${architecture}, but this host is ${hostArchitecture}.`,
    );
  }
  const workdir = config?.WorkingDir ?? '';
  return {
    user: config?.User ?? '',
    workdir: workdir.startsWith('/') && workdir !== '/' ? workdir : '',
    environment: Object.fromEntries((config?.Env ?? []).flatMap(splitVariable)),
  };
}

function splitVariable(line: string): [string, string][] {
  const at = line.indexOf('=');
  return at < 1 || line.includes('\0') ? [] : [[line.slice(0, at), line.slice(at + 1)]];
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
