import { errorFromUnknown } from '@soulbox/base';
import { httpStatusFromError } from '@soulbox/contract';
import type { EdgeError } from './edge-error.ts';
import { sandboxNotFound } from './edge-error.ts';

/** 502, as for a sandbox that is gone: the client's `isRunning()` interprets it as "no". */
export const sandboxPaused = (sandboxId: string): EdgeError => ({
  sandboxId,
  message: `Sandbox "${sandboxId}" is paused. Resume it with Sandbox.connect(), or create it with autoResume.`,
  code: 502,
});

export const wakeForbidden = (sandboxId: string): EdgeError => ({
  sandboxId,
  message: `Sandbox "${sandboxId}" is paused. Only a request with its access token or a valid signature resumes it.`,
  code: 403,
});

export const wakeTooSlow = (sandboxId: string): EdgeError => ({
  sandboxId,
  message: `Sandbox "${sandboxId}" is still being resumed. Retry in a moment.`,
  code: 503,
});

export const pausedAgain = (sandboxId: string): EdgeError => ({
  sandboxId,
  message: `Sandbox "${sandboxId}" was resumed and paused again before it could answer. Retry.`,
  code: 409,
});

/** Translates a failed wake for the client. 429, 409, 503 and 507 can be retried; 502 needs a person to investigate. */
export function wakeFailed(sandboxId: string, thrown: unknown): EdgeError {
  const error = errorFromUnknown(thrown);
  if (error.reason === 'internal')
    return {
      sandboxId,
      message: `Sandbox "${sandboxId}" could not be resumed. The server log has the details.`,
      code: 502,
    };
  if (error.reason === 'sandbox_not_found') return sandboxNotFound(sandboxId);
  const status = httpStatusFromError(error);
  const code = [409, 429, 503, 507].includes(status) ? status : 502;
  return { sandboxId, message: `Sandbox "${sandboxId}" could not be resumed: ${error.message}`, code };
}
