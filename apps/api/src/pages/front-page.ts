import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { markup, pageHeaders, renderPage } from './html.ts';
import type { OwnDocuments } from './own-documents.ts';

/** The page for a person who opens the server's address in a browser. It is public and the same for everybody. */
export function addFrontPage(app: ApiApp, { config }: ApiContext, documents: OwnDocuments): void {
  const page = renderFrontPage([...documents.keys()], config.openApi);
  app.get('/', { config: { auth: 'none' }, schema: { hide: true } }, (_request, reply) =>
    reply.headers(pageHeaders).send(page),
  );
}

function renderFrontPage(documents: readonly string[], openApi: boolean): string {
  const links = documents.map((name) => markup`<li><a href="/docs/${name}">${name}</a></li>`);
  const document = markup`<p>The API is described by <a href="/openapi.json">/openapi.json</a>.</p>`;
  return renderPage(
    'SoulBox',
    markup`<p>This is a SoulBox server: isolated sandboxes for AI agents. It is made for programs, which use it through the official
E2B clients (<a href="https://e2b.dev/docs">their documentation</a>) with an API key.</p>
<p>With the key, <code>/dashboard/inspect/sandbox/ID</code> shows a sandbox.</p>
${openApi ? document : ''}
${links.length === 0 ? '' : markup`<h2>Documents of this server</h2>\n<ul>${links}</ul>`}`,
  );
}
