import type { components } from './gen/openapi.d.ts';

/** What the API answers, as its OpenAPI document has it (`npm run api-types`). */
type Schemas = components['schemas'];

export type ApiSandbox = Schemas['Sandbox'];
export type ListedApiSandbox = Schemas['ListedSandbox'];
export type ApiSandboxDetail = Schemas['SandboxDetail'];
export type ApiSnapshot = Schemas['SnapshotInfo'];
/** One copy of a fork: it has come to be, or it has not. */
export type ApiCopy = Schemas['SandboxForkResult'];
export type ApiEvent = Schemas['SandboxEvent'];
export type ApiWebhook = Schemas['Webhook'];
export type ApiTemplate = Schemas['Template'];
export type ApiTemplateWithBuilds = Schemas['TemplateWithBuilds'];
export type ApiTemplateNames = Schemas['TemplateUpdateResponse'];
export type ApiFunction = Schemas['Function'];
export type ApiFunctionLog = Schemas['FunctionLog'];
export type ApiFunctionAnswer = Schemas['FunctionAnswer'];
export type ApiRunResult = Schemas['RunResult'];
/** One line of a streamed run. */
export type ApiRunEvent = Schemas['RunEvent'];
/** How a run ended; the whole answer has its output too. */
export type ApiRunEnd = Omit<Extract<ApiRunEvent, { type: 'result' }>, 'type'>;
