import type { Logger } from '@soulbox/base';
import type { Exchange } from './exchange/exchange.ts';
import type { Target } from './routing/target.ts';

/** The maximum length of path and host in a log line. */
const maxTextLength = 256;

/**
 * Logs one line per exchange when it is over. The query is never logged, because it can contain signatures and tokens.
 */
export function logExchange(
  exchange: Exchange,
  options: { level: 'debug' | 'info'; logger: Logger; target: Target },
): void {
  const { target } = options;
  const facts = factsOf(target);
  const startedAt = performance.now();
  exchange.onClose(() => {
    options.logger[options.level](
      {
        ...facts,
        to: target.kind,
        method: exchange.method,
        host: exchange.authority?.slice(0, maxTextLength),
        path: exchange.target.split('?', 1)[0]?.slice(0, maxTextLength),
        protocol: exchange.protocol,
        status: exchange.status,
        durationMs: Math.round(performance.now() - startedAt),
      },
      'request',
    );
  });
}

function factsOf(target: Target): object {
  if (target.kind === 'sandbox') return { sandboxId: target.sandboxId, port: target.port };
  return target.kind === 'function' ? { function: target.name } : {};
}
