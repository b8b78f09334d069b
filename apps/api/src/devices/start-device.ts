import { addressOf } from '../actor.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { formConfig } from '../pages/form.ts';
import { deviceSeconds, pollSeconds } from '../people/device-requests.ts';
import { peopleOf } from '../sign-in/people-of.ts';
import { devicePath } from './device-page.ts';

const clientMax = 64;

/** A program without a browser asks for access (RFC 8628, 3.1). */
export function addStartDeviceRoute(app: ApiApp, context: ApiContext): void {
  app.post('/auth/device-code', { config: formConfig, schema: { hide: true } }, async (request, reply) => {
    const { devices, origin } = peopleOf(context);
    const { client_id: client = '' } = (request.body ?? {}) as Readonly<Record<string, string>>;
    const shown = client
      .toWellFormed()
      .replace(/\p{Cc}/gu, ' ')
      .slice(0, clientMax);
    const { deviceCode, request: asked } = devices.start(shown, addressOf(request));
    return await reply.header('cache-control', 'no-store').send({
      ...{ device_code: deviceCode, user_code: asked.userCode, verification_uri: origin + devicePath },
      verification_uri_complete: `${origin}${devicePath}?user_code=${asked.userCode}`,
      ...{ expires_in: deviceSeconds, interval: pollSeconds },
    });
  });
}
