import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addDocumentRoute } from './document.ts';
import { acceptForms } from './form.ts';
import { addFrontPage } from './front-page.ts';
import { addInspectPage } from './inspect-sandbox.ts';
import { readOwnDocuments } from './own-documents.ts';
import { addSignInRoute } from './sign-in.ts';
import { addSignOutRoute } from './sign-out.ts';

/** Pages for a person with a browser. */
export async function addPages(app: ApiApp, context: ApiContext): Promise<void> {
  const documents = await readOwnDocuments();
  addFrontPage(app, context, documents);
  addDocumentRoute(app, documents);
  addInspectPage(app, context);
  void app.register((scope: ApiApp, _options, done) => {
    acceptForms(scope);
    addSignInRoute(scope, context);
    addSignOutRoute(scope);
    done();
  });
}
