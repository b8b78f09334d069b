import type { RootLogger } from '@soulbox/base';
import type { KeptPart, LoadingPart } from './keep-part.ts';

/** A part that starts when it is needed first. */
export interface WantedPart {
  /** Starts it, unless it was started. */
  want(): void;
  /** Undefined until it runs. */
  current(): KeptPart | undefined;
  stop(options: { keepSandboxes: boolean; timeoutMs: number }): Promise<void>;
}

/** After a start that failed, another one waits this long, however often it is wanted. Milliseconds. */
const pauseMs = 1000;

/** `load` begins a start; `name` is for the log. */
export function startWhenWanted(name: string, load: () => LoadingPart, logger: RootLogger): WantedPart {
  let starting: Promise<void> | undefined;
  let current: KeptPart | undefined;
  let notBefore = 0;
  let isStopping = false;
  const start = async (): Promise<void> => {
    const loading = load();
    try {
      current = await loading.start();
      logger.info({ part: name, pid: current.pid() }, 'a process of the server was needed and is ready');
    } catch (err) {
      loading.kill();
      notBefore = performance.now() + pauseMs;
      logger.error({ part: name, err }, 'a process of the server could not be started');
    }
  };
  return {
    want() {
      if (isStopping || starting !== undefined || current !== undefined || performance.now() < notBefore) return;
      starting = start().finally(() => (starting = undefined));
    },
    current: () => current,
    async stop(how) {
      isStopping = true;
      await starting;
      await current?.stop(how);
    },
  };
}
