import { z } from 'zod';
import { callApi } from '../api/call.ts';
import { createPatiently } from '../api/create-patiently.ts';
import type { ApiSandbox, ApiSandboxDetail, ApiSignedUrl, ListedApiSandbox } from '../api/wire.ts';
import { portUrl } from '../api/port-url.ts';
import { addTool, inPath, sandboxIdInput } from './tool.ts';
import type { ToolContext } from './tool.ts';

const timeoutInput = z
  .int()
  .min(1)
  .max(7 * 24 * 3600)
  .describe('Seconds until the sandbox ends or is paused, from now');
const readOnly = { readOnlyHint: true, idempotentHint: true };

export function addSandboxTools(context: ToolContext): void {
  const { api } = context;
  addTool(context, 'sandbox_create', {
    title: 'Create a sandbox',
    description:
      'Creates an isolated Linux sandbox for untrusted code, with a file system and processes of its own, and returns its id. ' +
      'The other tools take that id. Kill it when it is no longer needed.',
    input: z.strictObject({
      template: z.string().min(1).max(200).default('base').describe('Name or id of a template or of a snapshot'),
      timeoutSeconds: timeoutInput.default(900),
      onTimeout: z
        .enum(['kill', 'pause'])
        .default('kill')
        .describe('Whether it ends at the timeout, or sleeps with its memory until sandbox_resume'),
      internetAccess: z.boolean().default(true).describe('Whether programs inside reach the internet'),
      envs: z.record(z.string().max(200), z.string().max(32_768)).optional().describe('Variables of all its processes'),
      metadata: z.record(z.string().max(200), z.string().max(1000)).optional().describe('Labels for sandbox_list'),
    }),
    async run({ template, timeoutSeconds, onTimeout, internetAccess, envs, metadata }) {
      const { body } = await createPatiently<ApiSandbox>(api, {
        templateID: template,
        timeout: timeoutSeconds,
        autoPause: onTimeout === 'pause',
        allow_internet_access: internetAccess,
        envVars: envs,
        metadata,
      });
      return { value: { sandboxId: body.sandboxID, template: body.templateID } };
    },
  });

  addTool(context, 'sandbox_list', {
    title: 'List sandboxes',
    description: 'Lists the running and paused sandboxes of the team, newest first, at most 100.',
    input: z.strictObject({ state: z.enum(['running', 'paused']).optional().describe('Only those in this state') }),
    hints: readOnly,
    async run({ state }) {
      const query = { limit: 100, state: state ?? 'running,paused' };
      const answer = await callApi<readonly ListedApiSandbox[]>(api, { path: '/v2/sandboxes', query });
      return {
        value: {
          sandboxes: answer.body.map(summaryOf),
          hasMore: answer.headers.get('x-next-token') !== null,
        },
      };
    },
  });

  addTool(context, 'sandbox_info', {
    title: 'Show a sandbox',
    description: 'Shows state, template, size, labels and end of one sandbox.',
    input: z.strictObject({ sandboxId: sandboxIdInput }),
    hints: readOnly,
    async run({ sandboxId }) {
      const { body } = await callApi<ApiSandboxDetail>(api, { path: `/sandboxes/${inPath(sandboxId)}` });
      return { value: summaryOf(body) };
    },
  });

  addTool(context, 'sandbox_pause', {
    title: 'Pause a sandbox',
    description: 'Saves the sandbox with its memory and running processes, and frees its resources.',
    input: z.strictObject({ sandboxId: sandboxIdInput }),
    hints: { idempotentHint: true },
    async run({ sandboxId }) {
      await callApi(api, { method: 'POST', path: `/sandboxes/${inPath(sandboxId)}/pause`, body: {} });
      return { value: { sandboxId, state: 'paused' } };
    },
  });

  addTool(context, 'sandbox_resume', {
    title: 'Resume a sandbox',
    description: 'Continues a paused sandbox with its memory. For a running one it only sets the timeout.',
    input: z.strictObject({ sandboxId: sandboxIdInput, timeoutSeconds: timeoutInput.default(900) }),
    hints: { idempotentHint: true },
    async run({ sandboxId, timeoutSeconds }) {
      const path = `/sandboxes/${inPath(sandboxId)}/connect`;
      await callApi(api, { method: 'POST', path, body: { timeout: timeoutSeconds } });
      return { value: { sandboxId, state: 'running' } };
    },
  });

  addTool(context, 'sandbox_kill', {
    title: 'Kill a sandbox',
    description: 'Ends a sandbox. Its files and its memory are lost; snapshots of it stay.',
    input: z.strictObject({ sandboxId: sandboxIdInput }),
    hints: { destructiveHint: true, idempotentHint: true },
    async run({ sandboxId }) {
      await callApi(api, { method: 'DELETE', path: `/sandboxes/${inPath(sandboxId)}` });
      return { value: { sandboxId, state: 'ended' } };
    },
  });

  addTool(context, 'port_url', {
    title: 'URL of a port',
    description: 'Returns a URL that reaches an HTTP server on a port of the sandbox. Who has the URL needs no key.',
    input: z.strictObject({
      sandboxId: sandboxIdInput,
      port: z.int().min(1).max(65_535),
      expiresInSeconds: z.int().min(1).max(86_400).default(3600),
    }),
    hints: readOnly,
    async run({ sandboxId, port, expiresInSeconds }) {
      const url = portUrl(api, sandboxId, port, '/');
      const body = { url, expiresInSeconds, prefix: true };
      const signed = await callApi<ApiSignedUrl>(api, { method: 'POST', path: '/signed-urls', body });
      return { value: { url: signed.body.url }, text: signed.body.url };
    },
  });
}

function summaryOf(sandbox: ListedApiSandbox | ApiSandboxDetail): Record<string, unknown> {
  const { sandboxID, templateID, alias, state, cause, startedAt, endAt, cpuCount, memoryMB, metadata } = sandbox;
  return {
    sandboxId: sandboxID,
    template: alias ?? templateID,
    ...{ state, cause, startedAt, endAt, cpuCount, memoryMB, metadata },
  };
}
