import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { acceptForms } from '../pages/form.ts';
import { addDevicePage } from './device-page.ts';
import { addE2bCliPage } from './e2b-cli.ts';
import { addStartDeviceRoute } from './start-device.ts';
import { addTokenRoutes } from './token-endpoint.ts';

/** How programs get a personal token from a person with a browser. */
export function addDeviceRoutes(app: ApiApp, context: ApiContext): void {
  void app.register((scope: ApiApp, _options, done) => {
    acceptForms(scope);
    addDevicePage(scope, context);
    addE2bCliPage(scope, context);
    addStartDeviceRoute(scope, context);
    addTokenRoutes(scope, context);
    done();
  });
}
