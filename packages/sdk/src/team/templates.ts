import { callApi, callUnlessGone, segment } from '../api.ts';
import type { Schemas } from '../api.ts';
import { connectionFrom } from '../config.ts';
import type { ConnectionOptions } from '../config.ts';
import { SoulBoxError } from '../error.ts';

/** A template, as the REST API describes it. */
export type TemplateInfo = Schemas['Template'];

/** One step of a build. `COPY` needs uploads: use `soulbox template build` or E2B's `Template` for it. */
export interface TemplateStep {
  readonly type: 'RUN' | 'ENV' | 'WORKDIR' | 'USER';
  /** `RUN`: a command, and the user who runs it. `ENV`: names and values in turn. Others: one value. */
  readonly args: readonly string[];
}

/** A template to build. */
export interface TemplateSpec {
  /** `name[:tag]`. */
  readonly name: string;
  /** An image of a registry. Default: the template `base`. */
  readonly fromImage?: string | undefined;
  readonly fromTemplate?: string | undefined;
  readonly steps?: readonly TemplateStep[] | undefined;
  /** Runs in every sandbox of the template from its start on. */
  readonly startCmd?: string | undefined;
  /** Tried every 2 s until it succeeds. */
  readonly readyCmd?: string | undefined;
  readonly cpuCount?: number | undefined;
  /** In MiB. */
  readonly memoryMB?: number | undefined;
  /** Called with each line of the log. */
  readonly onLog?: ((entry: Schemas['BuildLogEntry']) => void) | undefined;
}

const pollMs = 500;

/** Templates of the team. */
export const templates = {
  /** Lists the templates of the team. */
  async list(options?: ConnectionOptions): Promise<TemplateInfo[]> {
    return (await callApi<TemplateInfo[]>(connectionFrom(options), { path: '/templates' })).body;
  },

  /** Removes a template. False if it does not exist. */
  async delete(idOrName: string, options?: ConnectionOptions): Promise<boolean> {
    return await callUnlessGone(connectionFrom(options), { method: 'DELETE', path: `/templates/${segment(idOrName)}` });
  },

  /** Builds a template and waits for the end. Throws `build_failed` with the reason. */
  async build(
    spec: TemplateSpec,
    options?: ConnectionOptions,
  ): Promise<{ readonly templateId: string; readonly buildId: string }> {
    const connection = connectionFrom(options);
    const { name, cpuCount, memoryMB, onLog, steps = [], ...start } = spec;
    const request = { method: 'POST', path: '/v3/templates', body: { name, cpuCount, memoryMB } } as const;
    const { templateID, buildID } = (await callApi<Schemas['TemplateRequestResponseV3']>(connection, request)).body;
    const from = start.fromImage === undefined && start.fromTemplate === undefined ? { fromTemplate: 'base' } : {};
    const path = `/templates/${segment(templateID)}/builds/${segment(buildID)}`;
    const body = { ...from, ...start, steps: steps.map((step) => ({ ...step, force: false })) };
    await callApi(connection, { method: 'POST', path: `/v2${path}`, body });
    let logsOffset = 0;
    for (;;) {
      const call = { path: `${path}/status`, query: { logsOffset } };
      const { status, logEntries, reason } = (await callApi<Schemas['TemplateBuildInfo']>(connection, call)).body;
      for (const entry of logEntries) onLog?.(entry);
      logsOffset += logEntries.length;
      const isOver = status === 'ready' || status === 'error';
      if (isOver && logEntries.length > 0) continue;
      if (status === 'ready') return { templateId: templateID, buildId: buildID };
      if (status === 'error')
        throw new SoulBoxError(reason?.message ?? 'The build has failed.', {
          ...{ code: 'failed_precondition', reason: 'build_failed' },
        });
      connection.options.signal?.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  },
};
