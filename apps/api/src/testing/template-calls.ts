import type { Requested } from './build-template.ts';
import type { TestApi } from './test-api.ts';

/** Calls the routes of templates like a client, by default with the key of the first team. */
export function createTemplateCalls(api: () => TestApi) {
  const request = (body: object, key = api().key, path = '/v3/templates') => api().ask('POST', path, { body, key });
  const ask = async (method: string, path: string, body?: object, key = api().key) => {
    const answer = await api().ask(method, path, { key, ...(body === undefined ? {} : { body }) });
    return { status: answer.status, json: answer.json as never };
  };
  const statusOf = async (...args: Parameters<typeof ask>) => (await ask(...args)).status;
  const create = (templateID: string, key = api().key) => ask('POST', '/v2/sandboxes', { templateID }, key);
  const publish = (name: string, isPublic = true, key = api().key) =>
    ask('PATCH', `/v2${path(name)}`, { public: isPublic }, key);
  return { request, ask, statusOf, create, publish };
}

export const path = (name: string, rest = '') => `/templates/${encodeURIComponent(name)}${rest}`;
export const snapshotOf = ({ buildID }: Requested) => buildID.replaceAll('-', '');
