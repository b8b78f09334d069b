import { onTestFinished } from 'vitest';
import { ask, askApi } from './http.ts';
import type { Answer, Ask } from './http.ts';

/** Sends one request to a function by its host name. */
export const call = async (name: string, path = '/', more: Partial<Ask> = {}): Promise<Answer> =>
  await ask({ ...more, path, headers: { host: `fn-${name}.soulbox.localhost`, ...more.headers } });

export const removeFunction = async (name: string): Promise<void> => {
  await askApi('DELETE', `/functions/${name}`);
};

interface Shown {
  readonly state: string;
  readonly sandboxID: string;
  readonly activeVersion: number;
}

export const show = async (name: string): Promise<Shown> => (await askApi('GET', `/functions/${name}`)).json as Shown;

/** Deploys a function for one test. */
export async function deploy(
  name: string,
  source: string,
  more: object = {},
): Promise<{ status: number; json: unknown }> {
  onTestFinished(() => removeFunction(name));
  return await askApi('POST', '/functions', { name, source, ...more });
}
