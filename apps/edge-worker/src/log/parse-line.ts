import type { FunctionLogLine } from '@soulbox/contract/functions';

const levels: Readonly<Record<string, FunctionLogLine['level']>> = {
  debug: 'debug',
  trace: 'debug',
  log: 'info',
  info: 'info',
  warn: 'warn',
  warning: 'warn',
  error: 'error',
  fatal: 'error',
};

export type ParsedLine = Pick<FunctionLogLine, 'level' | 'message' | 'source'>;

/**
 * One line of an engine's output. Both write JSON: `level` and `message`, and workerd a `source` when it speaks for itself. Anything else is what
 * the code wrote past its console.
 */
export function parseLine(line: string): ParsedLine {
  const value = parseObject(line);
  if (value === undefined || typeof value['message'] !== 'string')
    return { level: 'info', message: line, source: 'console' };
  const level = levels[String(value['level'])] ?? 'info';
  const source = value['source'] === undefined ? 'console' : 'system';
  return { level, source, message: source === 'system' ? withoutPlace(value['message']) : value['message'] };
}

/** workerd puts the places of its own source before what the code threw, and a stack of addresses after it. */
function withoutPlace(message: string): string {
  return message
    .replace(/\nstack: [\s\S]*$/, '')
    .replace(/^service main: /, '')
    .replace(/^Uncaught exception: \S+: failed: remote\.jsg\./, 'Uncaught ')
    .replace(/; sentryErrorContext = [\s\S]*$/, '');
}

function parseObject(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
