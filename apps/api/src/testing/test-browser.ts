/** What a browser of a test got. */
export interface Page {
  readonly url: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** A browser without a screen: it keeps cookies, for each origin its own, and follows redirects. */
export interface TestBrowser {
  /** Goes to an address by a link. `hops`: redirects that are followed at most. */
  open(url: string, options?: { readonly hops?: number; readonly headers?: Record<string, string> }): Promise<Page>;
  /** Sends the form of a page: of ours, or by its whole address. */
  submit(path: string, fields: Readonly<Record<string, string>>, headers?: Record<string, string>): Promise<Page>;
  /** Calls the API from a page of ours. */
  call(
    method: string,
    path: string,
    options?: { readonly headers?: Record<string, string>; readonly body?: object },
  ): Promise<Page>;
  /** The cookies for our server, by name. */
  readonly cookies: Map<string, string>;
}

/** `origin`: the address that browsers know; `url`: where the server listens. */
export function createTestBrowser(origin: string, url: string): TestBrowser {
  const jars = new Map<string, Map<string, string>>();
  const jarOf = (at: string): Map<string, string> => {
    const { origin: site } = new URL(at);
    const jar = jars.get(site) ?? new Map<string, string>();
    jars.set(site, jar);
    return jar;
  };
  const send = async (at: string, options: RequestInit): Promise<Page> => {
    const jar = jarOf(at);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const target = at.startsWith(`${origin}/`) ? url + at.slice(origin.length) : at;
    const headers = { ...(cookie === '' ? {} : { cookie }), ...(options.headers as Record<string, string>) };
    const answer = await fetch(target, { ...options, headers, redirect: 'manual' });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '' || /Max-Age=0/.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
    return { url: at, status: answer.status, headers: answer.headers, text: await answer.text() };
  };
  const open: TestBrowser['open'] = async (at, { hops = 20, headers = {} } = {}) => {
    let page = await send(at.startsWith('/') ? origin + at : at, { headers });
    for (let hop = 0; hop < hops; hop += 1) {
      const location = page.headers.get('location');
      if (location === null) break;
      page = await send(new URL(location, page.url).href, { headers });
    }
    return page;
  };
  const own = { origin, 'sec-fetch-site': 'same-origin' };
  return {
    open,
    submit: async (path, fields, headers = {}) =>
      await send(path.startsWith('/') ? origin + path : path, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...own, ...headers },
        body: new URLSearchParams(fields).toString(),
      }),
    call: async (method, path, { headers = {}, body } = {}) =>
      await send(origin + path, {
        method,
        headers: { ...own, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    get cookies() {
      return jarOf(origin);
    },
  };
}
