export { defaultIsolation, isIsolation, isolationMetadataKey, isolations } from './isolation.ts';
export type { Isolation } from './isolation.ts';
export {
  envdForwardPort,
  envdPort,
  envdVersion,
  forwardAnswers,
  headers,
  privatePortHeader,
  tunnelProtocol,
} from './headers.ts';
export { createSandboxId, parseSandboxId } from './ids.ts';
export { errorForCaller, httpBodyFromError, httpStatusFromError } from './error-to-http.ts';
export type { HttpErrorBody } from './error-to-http.ts';
export { insideProgram } from './envd-program.ts';
export type { InsideCommand } from './envd-program.ts';
export { createFileSigner, fileSignature, isFileSignature } from './file-signature.ts';
export type { SignedFileRequest } from './file-signature.ts';
export type { SandboxRoute, SandboxRouter } from './router.ts';
export { SandboxAgent } from './sandbox-agent.ts';
export type { Dial } from './sandbox-agent.ts';
export { envdRoutes, hostOnlyPaths } from './envd-routes.ts';
export { causes } from './causes.ts';
export type { Cause } from './causes.ts';
export { egressReasons } from './egress-reasons.ts';
export type { EgressReason } from './egress-reasons.ts';
export { isKeyTemplate, keyTemplatesMax, normalTemplate, orderScopes, roles, scopes, scopesOfRole } from './scopes.ts';
export type { Role, Scope } from './scopes.ts';
export { createTokenIndex } from './token-index.ts';
export type { TokenIndex } from './token-index.ts';
export { faultOfVolumePath, refuseVolumePaths, systemPaths, volumePathMaxBytes } from './volume-paths.ts';
export { teamLimitNames, teamLimits } from './team-limits.ts';
export type { TeamLimitName } from './team-limits.ts';
