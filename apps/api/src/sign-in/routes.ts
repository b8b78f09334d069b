import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { acceptForms } from '../pages/form.ts';
import { addAccountPage } from './account-page.ts';
import { addBackchannelLogoutRoute } from './backchannel-logout.ts';
import { addCallbackRoute } from './callback.ts';
import { addSessionRoutes } from './session.ts';
import { addSignInPage } from './sign-in-page.ts';
import { addSignOutRoutes } from './sign-out.ts';
import { addStartRoute } from './start.ts';

/** Sign-in for people. */
export function addSignInRoutes(app: ApiApp, context: ApiContext): void {
  addSignInPage(app, context);
  addStartRoute(app, context);
  addCallbackRoute(app, context);
  addAccountPage(app, context);
  addSessionRoutes(app, context);
  void app.register((scope: ApiApp, _options, done) => {
    acceptForms(scope);
    addSignOutRoutes(scope, context);
    addBackchannelLogoutRoute(scope, context);
    done();
  });
}
