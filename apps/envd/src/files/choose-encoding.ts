export type Encoding = 'gzip' | 'identity';

/**
 * Chooses between gzip and plain bytes by an `Accept-Encoding` header. Undefined: the client accepts neither (406).
 *
 * The choice is gzip if the client prefers it to all others; the official clients send `gzip` alone. The lists that
 * HTTP libraries add to every request (`gzip, deflate`, `br, gzip, deflate`) express no preference. They get plain
 * bytes, which are about ten times as fast.
 */
export function chooseEncoding(header: string | undefined): Encoding | undefined {
  const wanted = parseQualities(header ?? '');
  const wildcard = wanted.get('*');
  const gzip = wanted.get('gzip') ?? wanted.get('x-gzip') ?? wildcard ?? 0;
  // Plain bytes are acceptable unless excluded (RFC 9110 section 12.5.3).
  const identity = wanted.get('identity') ?? (wildcard === 0 ? 0 : undefined);
  if (identity === 0) return gzip > 0 ? 'gzip' : undefined;
  const best = Math.max(0, ...wanted.values());
  const favorites = [...wanted].filter(([, quality]) => quality === best).map(([name]) => name);
  const isFavorite = favorites.length === 1 && (favorites[0] === 'gzip' || favorites[0] === 'x-gzip');
  return best > 0 && isFavorite ? 'gzip' : 'identity';
}

function parseQualities(header: string): Map<string, number> {
  const qualities = new Map<string, number>();
  for (const item of header.split(',')) {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase());
    if (name === '') continue;
    const quality = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    const value = quality === undefined ? 1 : Number(quality);
    qualities.set(name, Number.isFinite(value) ? Math.min(Math.max(value, 0), 1) : 0);
  }
  return qualities;
}
