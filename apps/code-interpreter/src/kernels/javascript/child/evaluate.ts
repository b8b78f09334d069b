import { Session } from 'node:inspector';
import type { Runtime } from 'node:inspector';
import { interrupted } from './describe-error.ts';

export type Outcome = { readonly value: unknown } | { readonly error: unknown } | typeof interrupted;
export type Evaluator = (code: string) => Promise<Outcome>;

/**
 * Runs code as V8's own REPL does, which only the inspector offers: top-level `await`, names that may be declared
 * again, the value of the last statement. The session belongs to this thread. `running` is 1 while the code runs, and
 * not a moment longer: what follows must not be terminated.
 */
export function createEvaluator(running: Int32Array): Evaluator {
  const session = new Session();
  session.connect();
  // With an open session, Node would wait at exit for a debugger to disconnect.
  process.on('exit', () => session.disconnect());
  const fetchValue = createFetcher(session);
  return async (code) => {
    const answer = await post(session, code, running);
    // The code was terminated while it ran: the inspector then returns no result.
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

async function post(
  session: Session,
  expression: string,
  running: Int32Array,
): Promise<Runtime.EvaluateReturnType | undefined> {
  // Node's types do not declare replMode.
  const params: Runtime.EvaluateParameterType & { replMode: boolean } = {
    expression,
    replMode: true,
    awaitPromise: true,
    objectGroup: 'cell',
  };
  return await new Promise((resolve) => {
    Atomics.store(running, 0, 1);
    session.post('Runtime.evaluate', params, (error, result) => {
      Atomics.store(running, 0, 0);
      resolve(error === null ? result : undefined);
    });
  });
}

/**
 * The inspector returns object ids instead of values. To get a value, we let the inspector call a function of ours with
 * it.
 */
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
