import type { Schemas } from '../api.ts';
import { callApi } from '../api.ts';
import type { Connection } from '../config.ts';

/** What a signed URL opens: a file, or a path of a port. */
export type SignTarget =
  | { readonly file: string; readonly user?: string | undefined }
  | { readonly port: number; readonly path?: string | undefined };

/** The options of a signed URL. */
export interface SignOptions {
  /** Default: `GET`. `POST` uploads a file. */
  readonly method?: Schemas['NewSignedURL']['method'] | undefined;
  /** Default: 3600. */
  readonly expiresInSeconds?: number | undefined;
  /** It can be used only once. Default: false. */
  readonly once?: boolean | undefined;
  /** It is valid for everything below the path, which ends with a slash. Default: false. */
  readonly prefix?: boolean | undefined;
  /** Limit of the request body, in bytes. */
  readonly maxBytes?: number | undefined;
  /** The media type of the request body, such as `image/*`. */
  readonly contentType?: string | undefined;
  /** The addresses of its users, such as `192.0.2.0/24`. Default: all. */
  readonly addresses?: readonly string[] | undefined;
}

/** A URL that works without a key. */
export interface SignedUrl {
  readonly url: string;
  readonly expiresAt: Date;
  readonly keyId: string;
}

/** @internal */
export async function signUrl(connection: Connection, url: string, options: SignOptions): Promise<SignedUrl> {
  const call = { method: 'POST', path: '/signed-urls', body: { url, ...options } } as const;
  const { body } = await callApi<Schemas['SignedURL']>(connection, call);
  return { url: body.url, expiresAt: new Date(body.expiresAt), keyId: body.keyID };
}
