export { headers, envdPort, envdVersion } from './headers.ts';
export { createSandboxId, parseSandboxId } from './ids.ts';
export { httpBodyFromError, httpStatusFromError } from './error-to-http.ts';
export type { HttpErrorBody } from './error-to-http.ts';
export { connectErrorFromError, reasonHeader } from './error-to-connect.ts';
export { errorFromConnect } from './error-from-connect.ts';
export { fileSignature } from './file-signature.ts';
export type { SignedFileRequest } from './file-signature.ts';
export type { SandboxRoute, SandboxRouter } from './router.ts';
