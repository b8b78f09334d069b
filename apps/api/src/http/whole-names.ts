/** `/templates/team/name:tag`, the same with `/tags`, and `/templates/aliases/team/name`. */
const form = /^(\/templates(?:\/aliases(?=\/[^/?]+\/))?)\/([^/?]+)\/([^/?]+)(\/tags)?(\?.*)?$/;

/**
 * Python clients up to 2.40 do not escape the `/` of a full name, which other clients send as `%2F`. Returns the path
 * in the form of the routes. Paths with another meaning stay unchanged: `/templates/aliases/NAME` and
 * `/templates/NAME/tags`.
 */
export function withWholeName(method: string, url: string): string {
  if (method !== 'GET' && method !== 'DELETE') return url;
  const [, base = '', namespace = '', name = '', rest = '', query = ''] = form.exec(url) ?? [];
  if (base === '' || namespace === 'aliases' || (name === 'tags' && rest === '')) return url;
  return `${base}/${namespace}%2F${name}${rest}${query}`;
}
