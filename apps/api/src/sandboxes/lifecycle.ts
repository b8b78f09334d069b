import { SoulBoxError } from '@soulbox/base';
import type { NewSandbox } from './new-sandbox-schema.ts';

type LifecycleSettings = Pick<NewSandbox, 'autoPause' | 'autoPauseMemory' | 'autoResume' | 'idleTimeout' | 'timeout'>;

/** Throws `bad_request` for settings that contradict each other; the official client refuses them too. */
export function refuseContradictions({ autoPause, autoPauseMemory, autoResume }: LifecycleSettings): void {
  if (autoPause !== true || autoPauseMemory !== false || autoResume?.enabled !== true) return;
  throw new SoulBoxError(
    'bad_request',
    'autoResume: traffic cannot resume a sandbox that was paused without its memory. Leave autoPauseMemory true.',
  );
}

/** The automatic behavior of a new sandbox, in the runner's form. */
export function lifecycleToRunner({ autoPause, autoPauseMemory, autoResume, idleTimeout, timeout }: LifecycleSettings) {
  return {
    pauseOnTimeout: autoPause ?? false,
    pauseMemory: autoPauseMemory ?? true,
    autoResume: autoResume?.enabled ?? false,
    idleTimeoutSeconds: idleTimeout,
    timeoutSeconds: timeout,
  };
}
