import { inspect } from 'node:util';

interface ErrorText {
  readonly name: string;
  readonly value: string;
  readonly traceback: string;
}

/** Named as in Python, which is what clients know. */
export const interrupted = {
  name: 'KeyboardInterrupt',
  value: 'The execution was interrupted.',
  traceback: '',
} satisfies ErrorText;

/** Anything can be thrown, also what throws when it is looked at. */
export function describeError(thrown: unknown): ErrorText {
  if (!(thrown instanceof Error)) {
    const text = inspect(thrown);
    return { name: 'Error', value: typeof thrown === 'string' ? thrown : text, traceback: text };
  }
  const { name, message, stack = '' } = thrown;
  // Frames of Node itself, the inspector's among them, say nothing about the code.
  const frames = stack.split('\n').filter((line) => !/^\s+at .*\(?node:/.test(line) && !isOurs(line));
  while (/^\s+at new Promise \(<anonymous>\)$/.test(frames.at(-1) ?? '')) frames.pop();
  return { name: name === '' ? 'Error' : name, value: message, traceback: frames.join('\n') };
}

const isOurs = (line: string): boolean => /^\s+at .*javascript(?:-kernel\.cjs|\/child\/)/.test(line);

/** What the TypeScript compiler throws is a text, or an object with one. */
export function syntaxError(thrown: unknown): SyntaxError {
  const text = typeof thrown === 'string' ? thrown : (thrown as { message?: unknown }).message;
  const error = new SyntaxError(typeof text === 'string' ? text.trim() : 'The code is not TypeScript.');
  error.stack = `SyntaxError: ${error.message}`;
  return error;
}
