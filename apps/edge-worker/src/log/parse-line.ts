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
 * Parses one line of an engine's output. Both engines write JSON with `level` and `message`. workerd adds a `source` to
 * its own messages. Any other line was written by the code without its console.
 */
export function parseLine(line: string): ParsedLine {
  const value = parseObject(line);
  if (value === undefined || typeof value['message'] !== 'string')
    return { level: 'info', message: line, source: 'console' };
  const level = levels[String(value['level'])] ?? 'info';
  const source = value['source'] === undefined ? 'console' : 'system';
  return { level, source, message: source === 'system' ? withoutPlace(value['message']) : value['message'] };
}

/** workerd puts its own source location before the thrown error, and a stack of addresses after it. */
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
