import type { Schemas } from '../api.ts';
import { callApi } from '../api.ts';
import type { Connection } from '../config.ts';

/** What a signed URL opens: a file, or a path of a port. */
export type SignTarget =
  | {
      /** The path of the file. With `prefix`, a folder with a slash at the end. */
      readonly file: string;
      /** The user of the sandbox at whose home a relative path begins. Default: the sandbox's default user. */
      readonly user?: string | undefined;
    }
  | {
      /** The port of a program in the sandbox. */
      readonly port: number;
      /** The path, with its query if there is one. It begins with a slash. Default: `/`. */
      readonly path?: string | undefined;
    };

/** The options of a signed URL, with the limits of docs/signed-urls.md. E2B has no such URLs. */
export interface SignOptions {
  /** The one method that is allowed. `GET` includes `HEAD`. `POST` uploads a file. Default: `GET`. */
  readonly method?: Schemas['NewSignedURL']['method'] | undefined;
  /** How long the URL is valid, in seconds, at most the server's limit (7 days unless set). Default: 3600. */
  readonly expiresInSeconds?: number | undefined;
  /** It can be used only once. A later use has status 409, `signed_url_used`. Default: false. */
  readonly once?: boolean | undefined;
  /** It is valid for everything below the path, which ends with a slash. Default: false. */
  readonly prefix?: boolean | undefined;
  /** The limit of the request body, in bytes. More breaks off with status 413. Default: none. */
  readonly maxBytes?: number | undefined;
  /** The media type of the request body in lower case, such as `image/*`. Another one has status 415. Default: any. */
  readonly contentType?: string | undefined;
  /** The addresses of its users: 1 to 10 addresses or networks, such as `192.0.2.0/24`. Default: all. */
  readonly addresses?: readonly string[] | undefined;
}

/** A URL that works without a key. Whoever has it can use it. */
export interface SignedUrl {
  /** The URL with its signature in the query. */
  readonly url: string;
  /** When it stops to work. Requests that have begun continue. */
  readonly expiresAt: Date;
  /** The id of the team's signing key. When that key is removed, all its URLs stop to work. */
  readonly keyId: string;
}

/** @internal */
export async function signUrl(connection: Connection, url: string, options: SignOptions): Promise<SignedUrl> {
  const call = { method: 'POST', path: '/signed-urls', body: { url, ...options } } as const;
  const { body } = await callApi<Schemas['SignedURL']>(connection, call);
  return { url: body.url, expiresAt: new Date(body.expiresAt), keyId: body.keyID };
}
