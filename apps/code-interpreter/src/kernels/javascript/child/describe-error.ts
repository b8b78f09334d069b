import { inspect } from 'node:util';

interface ErrorText {
  readonly name: string;
  readonly value: string;
  readonly traceback: string;
}

/** Named as in Python because clients know that name. */
export const interrupted = {
  name: 'KeyboardInterrupt',
  value: 'The execution was interrupted.',
  traceback: '',
} satisfies ErrorText;

/** Code can throw any value, including one that throws when it is inspected. */
export function describeError(thrown: unknown): ErrorText {
  if (!(thrown instanceof Error)) {
    const text = inspect(thrown);
    return { name: 'Error', value: typeof thrown === 'string' ? thrown : text, traceback: text };
  }
  const { name, message, stack = '' } = thrown;
  // Frames of Node itself, including those of the inspector, say nothing about the code.
  const frames = stack.split('\n').filter((line) => !/^\s+at .*\(?node:/.test(line) && !isOurs(line));
  while (/^\s+at new Promise \(<anonymous>\)$/.test(frames.at(-1) ?? '')) frames.pop();
  return { name: name === '' ? 'Error' : name, value: message, traceback: frames.join('\n') };
}

const isOurs = (line: string): boolean => /^\s+at .*javascript(?:-kernel\.cjs|\/child\/)/.test(line);

/** The TypeScript compiler throws a string, or an object with a message. */
export function syntaxError(thrown: unknown): SyntaxError {
  const text = typeof thrown === 'string' ? thrown : (thrown as { message?: unknown }).message;
  const error = new SyntaxError(typeof text === 'string' ? text.trim() : 'The code is not TypeScript.');
  error.stack = `SyntaxError: ${error.message}`;
  return error;
}
