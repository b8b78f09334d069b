import { defineCommand } from 'citty';
import { ApiError } from '../../api/api-error.ts';
import { callApi } from '../../api/call.ts';
import { jsonArg } from '../../command-line/shared-args.ts';
import { readCredentials, removeCredentials } from '../../login/credentials.ts';

export const logout = defineCommand({
  meta: {
    name: 'logout',
    description: 'Revoke the token of "auth login" and forget it',
    examples: ['soulbox auth logout'],
  },
  args: { json: jsonArg },
  async run({ args }) {
    const credentials = await readCredentials();
    const tell = (text: string, facts: object): void => {
      console.log(args.json === true ? JSON.stringify(facts) : text);
    };
    if (credentials === undefined) {
      tell('Not signed in.', { signedOut: false });
      return;
    }
    const { url, token, email } = credentials;
    try {
      await callApi({ url, key: token, sandboxUrl: () => url }, { method: 'DELETE', path: '/auth/session' });
    } catch (error) {
      // It was revoked or has expired.
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
    }
    await removeCredentials();
    tell(`Signed out ${email} from ${url}.`, { signedOut: true, url, email });
  },
});
