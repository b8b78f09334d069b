const hints = new WeakMap<object, string>();

/** Says what to do next, below the message of the error. */
export function withHint<E extends Error>(error: E, hint: string | undefined): E {
  if (hint !== undefined) hints.set(error, hint);
  return error;
}

export function hintOf(error: unknown): string | undefined {
  return error instanceof Error ? hints.get(error) : undefined;
}
