import { callApi, callUnlessGone, errorFromResponse, segment } from '../api.ts';
import type { Schemas } from '../api.ts';
import { connectionFrom } from '../config.ts';
import type { Connection, ConnectionOptions } from '../config.ts';
import { rethrow, SoulBoxError } from '../error.ts';
import { rethrowLocal } from '../local-folder.ts';
import type { LocalFolder } from '../local-folder.ts';
import { pause } from '../pause.ts';
import { createPaginator } from '../pages.ts';
import type { PageOptions, Paginator } from '../pages.ts';

/**
 * A template of the team, as the REST API describes it. `cpuCount`, `memoryMB` and `diskSizeMB` are those of its
 * sandboxes.
 */
export type TemplateInfo = Schemas['Template'];

/** One step of a build. */
export interface TemplateStep {
  /**
   * What the step does. `RUN`: a command in `/bin/bash -l -c`. `ENV`: variables of later steps and the start command,
   * not of sandboxes. `WORKDIR`: the folder, also of the sandboxes. `USER`: the user, also of the sandboxes. `COPY`:
   * files of {@link TemplateSpec.files}.
   */
  readonly type: 'RUN' | 'COPY' | 'ENV' | 'WORKDIR' | 'USER';
  /**
   * The arguments. `RUN`: a command, and if given the user who runs it. `ENV`: names and values in turn. `COPY`: a file
   * or folder, its destination, and if given the owner and the mode in octal digits. Others: one value.
   */
  readonly args: readonly string[];
}

/** A template to build. */
export interface TemplateSpec {
  /** The name, `name[:tag]`, in lower case, at most 128 characters. An existing template gets another build. */
  readonly name: string;
  /** The image of a registry to begin with. Not together with `fromTemplate`. Default: the template `base`. */
  readonly fromImage?: string | undefined;
  /** The name or id of the template to begin with. Its start and ready commands are inherited. Default: `base`. */
  readonly fromTemplate?: string | undefined;
  /**
   * What changes it, in order, at most 500 steps. A step that was done before is taken from the cache. Default: none.
   */
  readonly steps?: readonly TemplateStep[] | undefined;
  /** Where the sources of `COPY` steps are. Default: none, and then a `COPY` throws `bad_request`. */
  readonly files?: LocalFolder | undefined;
  /**
   * A command whose processes run in every sandbox of the template from its start on. Default: that of `fromTemplate`.
   */
  readonly startCmd?: string | undefined;
  /**
   * A command that is tried every 2 s until it succeeds; then the template is saved. Default: that of `fromTemplate`.
   */
  readonly readyCmd?: string | undefined;
  /** The CPUs of its sandboxes: 1 or an even number, at most 32. Default: 2. */
  readonly cpuCount?: number | undefined;
  /** The memory of its sandboxes, in MiB, at least 128. Default: 1024. */
  readonly memoryMB?: number | undefined;
  /** Called with each line of the log, in order. Default: the log is not read. */
  readonly onLog?: ((entry: Schemas['BuildLogEntry']) => void) | undefined;
}

const pollMs = 500;

/** Templates of the team. docs/templates.md describes them. */
export const templates = {
  /** Lists the templates of the team and those of the server, newest first. */
  list(options: PageOptions & ConnectionOptions = {}): Paginator<TemplateInfo> {
    const { limit, nextToken, ...connection } = options;
    const connect = (): Connection => connectionFrom(connection);
    return createPaginator(connect, { path: '/v2/templates' }, { limit, nextToken }, (entry: TemplateInfo) => entry);
  },

  /**
   * Removes a template with all its tags. False if it does not exist. Throws `template_in_use` while it has sandboxes.
   */
  async delete(idOrName: string, options?: ConnectionOptions): Promise<boolean> {
    return await callUnlessGone(connectionFrom(options), { method: 'DELETE', path: `/templates/${segment(idOrName)}` });
  },

  /**
   * Builds a template and waits for the end, normally at most 60 minutes. `requestTimeoutMs` limits each request only.
   * When `signal` ends the wait, the build continues. Files that the server does not have are uploaded first, at most 2
   * GiB for each `COPY`. Errors: `build_failed` (the message names the step), `bad_request` (also a source of a `COPY`
   * that does not exist), `body_too_large`, `name_taken`, `too_many_builds`, `limit_exceeded`.
   */
  async build(
    spec: TemplateSpec,
    options?: ConnectionOptions,
  ): Promise<{
    /** The id of the template, which `Sandbox.create` takes like its name. */
    readonly templateId: string;
    /** The id of this build, which the log of the server names. */
    readonly buildId: string;
  }> {
    const connection = connectionFrom(options);
    const { name, cpuCount, memoryMB, onLog, steps = [], files, ...start } = spec;
    const request = { method: 'POST', path: '/v3/templates', body: { name, cpuCount, memoryMB } } as const;
    const { templateID, buildID } = (await callApi<Schemas['TemplateRequestResponseV3']>(connection, request)).body;
    const from = start.fromImage === undefined && start.fromTemplate === undefined ? { fromTemplate: 'base' } : {};
    const path = `/templates/${segment(templateID)}/builds/${segment(buildID)}`;
    const sent = [];
    for (const step of steps) sent.push({ ...(await withFiles(connection, templateID, step, files)), force: false });
    const body = { ...from, ...start, steps: sent };
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
      await pause(connection, pollMs);
    }
  },
};

/** A `COPY` names the archive of its files, which the server has before the build starts. */
async function withFiles(
  connection: Connection,
  templateId: string,
  step: TemplateStep,
  files: LocalFolder | undefined,
): Promise<TemplateStep & { readonly filesHash?: string }> {
  if (step.type !== 'COPY') return step;
  if (files === undefined)
    throw new SoulBoxError('A COPY needs `files`, such as `folder(".")` of soulbox/node.', {
      ...{ code: 'invalid_argument', reason: 'bad_request' },
    });
  await using packed = await files.pack(step.args[0] ?? '.').catch(rethrowLocal);
  const path = `/templates/${segment(templateId)}/files/${segment(packed.hash)}`;
  const { present, url } = (await callApi<Schemas['TemplateBuildFileUpload']>(connection, { path })).body;
  if (!present) await upload(connection, url, await packed.read());
  return { ...step, filesHash: packed.hash };
}

/** The URL is signed. An upload has no limit of time here: the server ends one that stands still. */
async function upload({ fetch: send, options }: Connection, url: string, body: Blob): Promise<void> {
  const { signal } = options;
  const call = { method: 'PUT', body, ...(signal === undefined ? {} : { signal }) };
  const response = await send(url, call).catch(rethrow);
  if (!response.ok) throw await errorFromResponse(response, 'The files of a COPY could not be uploaded.');
  void response.body?.cancel().catch(() => undefined);
}
