import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Request } from '../protocol.ts';
import { describeError, interrupted, syntaxError } from './describe-error.ts';
import { requestsFd } from './descriptors.ts';
import { bundleOf } from './display.ts';
import type { Evaluator, Outcome } from './evaluate.ts';
import { createEvaluator } from './evaluate.ts';
import { rewriteImports } from './rewrite-imports.ts';
import type { Shared } from './interrupts.ts';
import { environment } from './environment.ts';
import { reply, writeText } from './write.ts';

type Execute = Extract<Request, { type: 'execute' }>;

/**
 * Answers requests one at a time; the next arrives only after `done`. The process ends when the request pipe closes.
 */
export function serveRequests({ acknowledged, running }: Shared): void {
  const evaluator = createEvaluator(running);
  let interrupt: (() => void) | undefined;
  const take = (request: Request): void => {
    switch (request.type) {
      case 'interrupt':
        Atomics.store(acknowledged, 0, request.count);
        Atomics.notify(acknowledged, 0);
        interrupt?.();
        break;
      case 'variables':
        setVariables(request.variables);
        reply({ type: 'done' });
        break;
      case 'execute':
        begin(request);
    }
  };
  const begin = (request: Execute): void => {
    let isBroken = false;
    let settle: (outcome: Outcome) => void = () => undefined;
    // Not Promise.withResolvers: Debian's Node 20, which runs this, does not have it.
    const ended = new Promise<Outcome>((resolve) => (settle = resolve));
    // All before the code: its termination also ends those functions of ours that have called it.
    interrupt = () => {
      isBroken = true;
      // Terminated code has no end of its own.
      Atomics.store(running, 0, 0);
      settle(interrupted);
    };
    void ended.then((outcome) => {
      interrupt = undefined;
      finish(outcome, request.mark);
    });
    const run: Evaluator = async (script) => {
      // An interrupt may have arrived while the types were removed.
      return isBroken ? interrupted : await evaluator(script);
    };
    void execute(run, request).then(settle);
  };
  createInterface({ input: new Socket({ fd: requestsFd }) }).on('line', (line) => take(JSON.parse(line) as Request));
  reply({ type: 'ready' });
  // 3 MB of WebAssembly, loaded before it is needed, so that the template's snapshot contains it.
  void compile('const warm: number = 1').catch(() => undefined);
}

async function execute(run: Evaluator, { code, isTypescript }: Execute): Promise<Outcome> {
  let script = code;
  if (isTypescript) {
    try {
      script = await compile(code);
    } catch (error) {
      return { error: syntaxError(error) };
    }
  }
  return await run(rewriteImports(script));
}

async function compile(code: string): Promise<string> {
  const { transformSync } = await import('amaro');
  return transformSync(code, { mode: 'transform', sourceMap: false }).code;
}

function finish(outcome: Outcome, mark: string): void {
  try {
    if ('name' in outcome) reply({ type: 'error', ...outcome });
    else if ('error' in outcome) reply({ type: 'error', ...describeError(outcome.error) });
    // Statements and most calls return undefined, which is not worth showing.
    else if (outcome.value !== undefined) reply({ type: 'result', isMain: true, bundle: bundleOf(outcome.value) });
  } catch (error) {
    // A value can throw while it is inspected.
    reply({ type: 'error', ...describeError(error) });
  }
  writeText(1, mark);
  writeText(2, mark);
  reply({ type: 'done' });
}

function setVariables(variables: Readonly<Record<string, string | null>>): void {
  for (const [name, value] of Object.entries(variables)) {
    if (value === null) Reflect.deleteProperty(environment, name);
    else environment[name] = value;
  }
}
