import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { CallToolResult, ToolAnnotations } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import { SoulBoxError } from '@soulbox/base';
import { ApiError } from '../api/api-error.ts';
import type { ApiConnection } from '../api/connection.ts';

/** What the tools of one session share. */
export interface ToolContext {
  readonly api: ApiConnection;
  readonly server: McpServer;
}

/** The result of a tool: a value for programs, and optionally a text that models read more easily than its JSON. */
export interface ToolOutcome {
  readonly value: Readonly<Record<string, unknown>>;
  readonly text?: string;
  /** The tool did its work, and its outcome is a failure, such as a command that could not be started. */
  readonly isError?: boolean;
}

interface Tool<Input extends z.ZodObject> {
  readonly title: string;
  readonly description: string;
  readonly input: Input;
  readonly hints?: ToolAnnotations;
  readonly run: (input: z.infer<Input>, signal: AbortSignal) => Promise<ToolOutcome>;
}

/** Calls that run in one session at the same time. Others are refused, because a model can only wait for a few. */
const callsMax = 32;
const running = new WeakMap<McpServer, number>();

/** Adds a tool to the server of a session. Errors of the API and of the sandbox become results that the model reads. */
export function addTool<Input extends z.ZodObject>(
  { server }: ToolContext,
  name: string,
  { title, description, input, hints = {}, run }: Tool<Input>,
): void {
  const annotations = { destructiveHint: false, openWorldHint: false, ...hints };
  const inputSchema: z.ZodObject = input;
  server.registerTool(
    name,
    { title, description, inputSchema, annotations },
    async (given, { signal }): Promise<CallToolResult> => {
      const count = running.get(server) ?? 0;
      if (count >= callsMax) return failure(`More than ${callsMax} calls are running in this session. Wait for one.`);
      running.set(server, count + 1);
      try {
        const { value, text, isError } = await run(input.parse(given), signal);
        return {
          content: [{ type: 'text', text: text ?? JSON.stringify(value) }],
          structuredContent: { ...value },
          ...(isError === true ? { isError } : {}),
        };
      } catch (error) {
        return failure(textOf(error));
      } finally {
        running.set(server, (running.get(server) ?? 1) - 1);
      }
    },
  );
}

function failure(text: string): CallToolResult {
  return { content: [{ type: 'text', text }], isError: true };
}

function textOf(error: unknown): string {
  if (error instanceof ApiError) return `${error.message} (${error.reason})`;
  if (error instanceof SoulBoxError) return `${error.message} (${error.reason})`;
  // Its cause is for the log of the program, which is standard error.
  console.error(error);
  return 'The tool failed. The log of "soulbox mcp" has the reason.';
}

/** An id of the API in a path. */
export const inPath = (id: string): string => encodeURIComponent(id);

export const sandboxIdInput = z
  .string()
  .min(1)
  .max(200)
  .describe('Id of the sandbox, from sandbox_create or sandbox_list');
