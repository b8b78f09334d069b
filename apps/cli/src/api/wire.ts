import type { components } from '@soulbox/contract/rest';

/** Types of the API's responses, from its OpenAPI document (`npm run api-types`). */
type Schemas = components['schemas'];

export type ApiSandbox = Schemas['Sandbox'];
export type ListedApiSandbox = Schemas['ListedSandbox'];
export type ApiSandboxDetail = Schemas['SandboxDetail'];
/** What an import made of a file. */
export type ApiImport = Schemas['ImportedSnapshot'];
export type ApiSandboxLogs = Schemas['SandboxLogsV2'];
export type ApiSnapshot = Schemas['SnapshotInfo'];
/** The result for one copy of a fork: success or failure. */
export type ApiCopy = Schemas['SandboxForkResult'];
export type ApiTeam = Schemas['Team'];
export type ApiTeamLimits = Schemas['TeamLimits'];
export type ApiTeamMetric = Schemas['TeamMetric'];
export type ApiTeamUsage = Schemas['TeamUsage'];
export type ApiEvent = Schemas['SandboxEvent'];
export type ApiSandboxConnection = Schemas['SandboxConnection'];
export type ApiMetricHistory = Schemas['SandboxMetricHistory'];
export type ApiMetricPoint = Schemas['SandboxMetricPoint'];
export type ApiCustomMetrics = Schemas['SandboxCustomMetrics'];
export type ApiLearnedPolicy = Schemas['LearnedNetworkPolicy'];
export type ApiSignedUrl = Schemas['SignedURL'];
export type ApiSigningKey = Schemas['SigningKey'];
export type ApiSshKey = Schemas['SSHKey'];
export type ApiSshServer = Schemas['SSHServer'];
export type ApiKey = Schemas['TeamAPIKey'];
export type CreatedApiKey = Schemas['CreatedTeamAPIKey'];
export type ApiKeyBudgets = Schemas['KeyBudgets'];
export type ApiPersonalToken = Schemas['PersonalToken'];
export type ApiVolume = Schemas['Volume'];
export type ApiVolumeEntry = Schemas['VolumeEntryStat'];
export type ApiVolumeUsage = Schemas['VolumeUsage'];
export type ApiBucket = Schemas['Bucket'];
export type ApiSecret = Schemas['Secret'];
export type ApiAuditRecord = Schemas['AuditRecord'];
export type ApiAuditLog = Schemas['AuditLog'];
export type ApiWebhook = Schemas['Webhook'];
export type ApiTemplate = Schemas['Template'];
export type ApiTemplateWithBuilds = Schemas['TemplateWithBuilds'];
export type ApiTemplateBuild = Schemas['TemplateBuildInfo'];
export type ApiBuildLogEntry = Schemas['BuildLogEntry'];
export type ApiTemplateNames = Schemas['TemplateUpdateResponse'];
export type ApiFunction = Schemas['Function'];
export type ApiFunctionVersion = Schemas['FunctionVersion'];
export type ApiKvNamespace = Schemas['KvNamespace'];
export type ApiFunctionLog = Schemas['FunctionLog'];
export type ApiFunctionAnswer = Schemas['FunctionAnswer'];
export type ApiRunResult = Schemas['RunResult'];
/** One line of a streamed run. */
export type ApiRunEvent = Schemas['RunEvent'];
/** How a run ended. The complete response also contains the output. */
export type ApiRunEnd = Omit<Extract<ApiRunEvent, { type: 'result' }>, 'type'>;
export type ApiSandboxMetric = Schemas['SandboxMetric'];
export type ApiLogEntry = Schemas['SandboxLogEntry'];
