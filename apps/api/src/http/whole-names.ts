/** `/templates/team/name:tag`, `…/tags` behind it, and `/templates/aliases/team/name`. */
const form = /^(\/templates(?:\/aliases(?=\/[^/?]+\/))?)\/([^/?]+)\/([^/?]+)(\/tags)?(\?.*)?$/;

/**
 * Python clients up to 2.40 write the `/` of a full name as it is, where others write `%2F`. Gives the path as the routes know it. What is
 * a path of another meaning stays as it is: `/templates/aliases/NAME` and `/templates/NAME/tags`.
 */
export function withWholeName(method: string, url: string): string {
  if (method !== 'GET' && method !== 'DELETE') return url;
  const [, base = '', namespace = '', name = '', rest = '', query = ''] = form.exec(url) ?? [];
  if (base === '' || namespace === 'aliases' || (name === 'tags' && rest === '')) return url;
  return `${base}/${namespace}%2F${name}${rest}${query}`;
}
