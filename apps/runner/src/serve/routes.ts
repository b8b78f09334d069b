import type { ConnectRouter } from '@connectrpc/connect';
import { RunnerService } from '@soulbox/contract/runner';
import { streamOf } from '../run/event-stream.ts';
import type { RunEvent } from '../run/run-event.ts';
import { runProgram } from '../run/run-program.ts';
import { createAnswers } from './answer.ts';
import { createExportRoutes } from './export-routes.ts';
import { createHostRoutes } from './host-routes.ts';
import { runEventToMessage } from './run-event-to-message.ts';
import { runFromMessage } from './run-from-message.ts';
import { createSandboxRoutes } from './sandbox-routes.ts';
import type { ServeContext } from './serve-context.ts';
import { createSnapshotRoutes } from './snapshot-routes.ts';
import { createTemplateRoutes } from './template-routes.ts';

/** Serves spec/runner. Messages, and errors once, are translated at this border. */
export function addRunnerRoutes(router: ConnectRouter, context: ServeContext): void {
  const answers = createAnswers(context.logger);
  const { stream } = answers;
  router.service(RunnerService, {
    ...createSandboxRoutes(context, answers),
    ...createSnapshotRoutes(context, answers),
    ...createExportRoutes(context, answers),
    ...createTemplateRoutes(context, answers),
    ...createHostRoutes(context, answers),
    runProgram: stream(async function* (request, handler) {
      const wanted = runFromMessage(request);
      const gone = AbortSignal.any([handler.signal, context.stopping]);
      const events = streamOf<RunEvent>(async (emit, left) => await runProgram(context, wanted, emit, left), gone);
      for await (const event of events) yield runEventToMessage(event);
    }),
  });
}
