import { Session } from 'node:inspector';
import type { Runtime } from 'node:inspector';
import { interrupted } from './describe-error.ts';

export type Outcome = { readonly value: unknown } | { readonly error: unknown } | typeof interrupted;
export type Evaluator = (code: string) => Promise<Outcome>;

/**
 * Code runs as in V8's own REPL, which only its inspector offers: `await` at the top, names that may be declared again, the value
 * of the last statement. The session is this thread's own.
 */
export function createEvaluator(): Evaluator {
  const session = new Session();
  session.connect();
  // With a session open Node waits at its end for a debugger to leave.
  process.on('exit', () => session.disconnect());
  const fetchValue = createFetcher(session);
  return async (code) => {
    const answer = await post(session, code);
    // Terminated while it ran: the inspector then has no answer.
    if (answer === undefined) return interrupted;
    const { exceptionDetails, result } = answer;
    try {
      if (exceptionDetails === undefined) return { value: fetchValue(result) };
      const { exception, text } = exceptionDetails;
      return { error: exception === undefined ? new Error(text) : fetchValue(exception) };
    } finally {
      session.post('Runtime.releaseObjectGroup', { objectGroup: 'cell' });
    }
  };
}

async function post(session: Session, expression: string): Promise<Runtime.EvaluateReturnType | undefined> {
  // Node's types leave replMode out.
  const params: Runtime.EvaluateParameterType & { replMode: boolean } = {
    expression,
    replMode: true,
    awaitPromise: true,
    objectGroup: 'cell',
  };
  return await new Promise((resolve) => {
    session.post('Runtime.evaluate', params, (error, result) => resolve(error === null ? result : undefined));
  });
}

/** The inspector gives ids of values; a function of ours that it calls with one is handed the value itself. */
function createFetcher(session: Session): (object: Runtime.RemoteObject) => unknown {
  let fetched: unknown;
  const name = Symbol.for('soulbox.fetch');
  const take = (value: unknown): void => {
    fetched = value;
  };
  Object.defineProperty(globalThis, name, { value: take, configurable: true });
  let takeId = '';
  session.post('Runtime.evaluate', { expression: "globalThis[Symbol.for('soulbox.fetch')]" }, (_error, answer) => {
    takeId = answer.result.objectId ?? '';
  });
  Reflect.deleteProperty(globalThis, name);
  return (object) => {
    fetched = undefined;
    const { objectId, unserializableValue } = object;
    const argument =
      objectId !== undefined
        ? { objectId }
        : unserializableValue !== undefined
          ? { unserializableValue }
          : { value: object.value as unknown };
    session.post('Runtime.callFunctionOn', {
      functionDeclaration: 'function (value) { this(value); }',
      objectId: takeId,
      arguments: [argument],
    });
    const got = fetched;
    fetched = undefined;
    return got;
  };
}
