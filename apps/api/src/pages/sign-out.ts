import { noKeyCookie } from '../auth/key-cookie.ts';
import type { ApiApp } from '../http/app.ts';
import { formConfig, refuseOtherOrigins } from './form.ts';
import { markup } from './html.ts';

const path = '/dashboard/sign-out';

export const signOutForm = markup`<form method="post" action="${path}"><button>Forget the key</button></form>`;

export function addSignOutRoute(scope: ApiApp): void {
  scope.post(path, { config: formConfig, schema: { hide: true } }, async (request, reply) => {
    refuseOtherOrigins(request);
    return await reply.header('set-cookie', noKeyCookie(request)).redirect('/', 303);
  });
}
