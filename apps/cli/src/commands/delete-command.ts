import { defineCommand } from 'citty';
import type { ArgsDef, CommandDef } from 'citty';
import { callApi } from '../api/call.ts';
import { findApi } from '../api/connection.ts';
import { apiDataDirArg, jsonArg } from '../command-line/shared-args.ts';

interface Deletion {
  readonly description: string;
  readonly examples: readonly string[];
  /** The argument with the name of the item. */
  readonly argument: { readonly type: 'positional'; readonly required: true; readonly description: string };
  /** The name of that argument in the help. */
  readonly noun: string;
  /** The key of the item in the printed JSON. */
  readonly key: string;
  readonly pathOf: (id: string) => string;
}

/** Defines a `delete` command for an item that one call of the API deletes. */
export function defineDeleteCommand({ description, examples, noun, argument, key, pathOf }: Deletion): CommandDef {
  const definitions: ArgsDef = { [noun]: argument, 'data-dir': apiDataDirArg, json: jsonArg };
  return defineCommand({
    meta: { name: 'delete', description, examples },
    args: definitions,
    async run({ args }) {
      const given: Readonly<Record<string, unknown>> = args;
      const id = String(given[noun]);
      await callApi(await findApi(args['data-dir'] as string | undefined), { method: 'DELETE', path: pathOf(id) });
      console.log(given['json'] === true ? JSON.stringify({ [key]: id, deleted: true }) : `Deleted ${id}.`);
    },
  });
}
