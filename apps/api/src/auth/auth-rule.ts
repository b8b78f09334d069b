/**
 * How a route identifies its caller.
 *
 * - `key`: the API key in `X-API-Key`.
 * - `key-or-bearer`: the same, or the key as `Authorization: Bearer` (Prometheus and the CLI's login can send nothing
 *   else).
 * - `key-or-operator`: the same, or the operator's token for metrics in the same places.
 * - `operator`: only that token.
 * - `admin`: only the administrator's token, in the same places.
 * - `cookie`: the key in the cookie of a browser page. Without a valid key the route has no caller and asks for a
 *   key.
 * - `key-or-signature`: the key, or a signed URL in its place (docs/signed-urls.md).
 * - `signature`: only a signed URL.
 * - `key-or-volume-token`: the key, or the token of the volume that the path names, as `Authorization: Bearer`.
 * - `person`: a person, by the cookie of a session or a personal token.
 * - `session`: the cookie of a session. Without one the route has no person, and shows the way to the sign-in.
 * - `none`: the route is open.
 *
 * Where a key is accepted, a person is too, for a team of theirs (docs/sign-in.md).
 */
export type AuthRule =
  | 'key'
  | 'key-or-bearer'
  | 'key-or-operator'
  | 'operator'
  | 'admin'
  | 'cookie'
  | 'key-or-signature'
  | 'signature'
  | 'key-or-volume-token'
  | 'person'
  | 'session'
  | 'none';
