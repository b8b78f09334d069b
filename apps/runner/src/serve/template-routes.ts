import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import type { RunBuildRequest, RunnerService } from '@soulbox/contract/runner';
import { isListed } from '@soulbox/templates';
import type { Answers } from './answer.ts';
import { buildFromMessage } from './build-from-message.ts';
import type { ServeContext } from './serve-context.ts';
import { streamBuild } from './stream-build.ts';
import { templateToMessage } from './template-to-message.ts';

/** Serves templates and builds. */
export function createTemplateRoutes(
  context: ServeContext,
  { answer }: Answers,
): Partial<ServiceImpl<typeof RunnerService>> {
  const { templates } = context;
  return {
    listTemplates: answer(async () => ({
      templates: (await templates.list()).filter(isListed).map(templateToMessage),
      makeable: await context.maker.makeable(),
    })),

    makeTemplate: answer(async ({ name, waitMs }) => {
      const made = await context.maker.make(name, waitMs);
      if ('templateId' in made) return { template: templateToMessage(made) };
      return { step: made.step, elapsedSeconds: Math.round(made.elapsedMs / 1000) };
    }),

    async *runBuild(request: RunBuildRequest, handler: HandlerContext) {
      const spec = await answer((message: RunBuildRequest) => Promise.resolve(buildFromMessage(message)))(
        request,
        handler,
      );
      yield* streamBuild(context, spec, handler.signal);
    },
  };
}
