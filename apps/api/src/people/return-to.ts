/** Where a person goes who has just signed in and wanted nothing else. */
export const accountPath = '/account';

const pages = [accountPath, '/auth/device', '/docs/api/cli'];
const charsMax = 500;

/** The page of ours to which a text leads, or the account page: never another server, and never a page of a tenant. */
export function safeReturnTo(text: string | undefined): string {
  if (text === undefined || text.length > charsMax || !/^\/[\x21-\x7e]*$/.test(text)) return accountPath;
  const origin = 'http://here.invalid';
  const url = URL.parse(text, origin);
  if (url?.origin !== origin || !pages.includes(url.pathname)) return accountPath;
  return url.pathname + url.search;
}
