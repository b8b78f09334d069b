import { SoulBoxError } from '@soulbox/base';

/** The parsed reference of an image: `host/path` with a tag or a digest. */
export interface ImageName {
  /** As in the reference. `docker.io` when it names none. */
  readonly host: string;
  readonly path: string;
  /** `:tag` or `@sha256:...`. `:latest` when the reference has neither. */
  readonly version: string;
}

const maxLength = 500;
const hostForm = /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?::[0-9]{1,5})?$/i;
const pathForm = /^[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$/;
const versionForm = /^(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})$/;

/** Parses a reference as the user wrote it, such as `debian:stable`. Throws `image_unavailable` for a malformed one. */
export function parseImageName(reference: string): ImageName {
  const [, name = '', tag = '', digest = ''] = /^([^@]*?)(:[^:/@]*)?(@.*)?$/.exec(reference.trim()) ?? [];
  const [first = '', ...rest] = name.split('/');
  const hasHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  const host = hasHost ? first : 'docker.io';
  const path = hasHost ? rest.join('/') : name;
  // A digest identifies the image completely. A tag beside it is for people.
  const version = digest !== '' ? digest : tag === '' ? ':latest' : tag;
  const isName =
    reference.length <= maxLength && hostForm.test(host) && pathForm.test(path) && versionForm.test(version);
  if (!isName)
    throw new SoulBoxError(
      'image_unavailable',
      `${JSON.stringify(reference.slice(0, 100))} is not a valid image name.`,
    );
  return { host, path: host === 'docker.io' ? path.replace(/^library\//, '') : path, version };
}

/** The short form that people write, without the default host. */
export function shortName({ host, path, version }: ImageName): string {
  return `${host === 'docker.io' ? '' : `${host}/`}${path}${version}`;
}

/** The form that skopeo accepts. */
export function fullName({ host, path, version }: ImageName): string {
  return `docker://${host}/${host === 'docker.io' && !path.includes('/') ? 'library/' : ''}${path}${version}`;
}
