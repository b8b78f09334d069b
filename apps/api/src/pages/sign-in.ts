import { keyCookie, canBeCookie } from '../auth/key-cookie.ts';
import { tryKey } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { formConfig, refuseOtherOrigins } from './form.ts';
import { inspectPath, inspectSchema, sendKeyForm } from './key-form.ts';

/** Receives the key that the page of a sandbox asks for. The browser keeps it as a cookie. */
export function addSignInRoute(scope: ApiApp, context: ApiContext): void {
  scope.post(inspectPath, { config: formConfig, schema: inspectSchema }, async (request, reply) => {
    refuseOtherOrigins(request);
    const { sandboxID } = request.params;
    const key = (request.body as { readonly key?: string } | undefined)?.key?.trim() ?? '';
    if (!canBeCookie(key) || (await tryKey({ request, reply, context, key })) === undefined)
      return await sendKeyForm(reply, sandboxID, 'The API key is not valid.');
    // Shown by GET, so that a reload does not send the key again.
    return await reply
      .header('set-cookie', keyCookie(request, key))
      .header('cache-control', 'no-store')
      .redirect(`/dashboard/inspect/sandbox/${encodeURIComponent(sandboxID)}`, 303);
  });
}
