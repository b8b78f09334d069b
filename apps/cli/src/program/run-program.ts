import { stripVTControlCharacters } from 'node:util';
import { renderUsage, runCommand } from 'citty';
import type { CommandDef } from 'citty';
import { chooseContext, setColors } from '../config.ts';
import { readSetting, readSettingWithSource } from '../settings/read-setting.ts';
import { program, epilogue } from './program.ts';
import { printFault } from './print-fault.ts';
import { resolved } from '../command-tree/command-tree.ts';
import { exitCodes } from '../command-line/exit-codes.ts';
import { exitCodeOfError } from '../command-line/exit-code-of-error.ts';
import { checkArguments, endOptionsAtCommand } from '../command-line/parse-strictly.ts';
import { contextArg, outputArgs, withSharedArgs } from '../command-line/shared-args.ts';
import { UsageError } from '../command-line/usage-error.ts';

/** Runs the command line and returns the exit code. A command returns a number, or nothing for 0. */
export async function runProgram(rawArgs: readonly string[]): Promise<number> {
  try {
    return await descend(program, rawArgs, []);
  } catch (error) {
    return explain(error, rawArgs);
  }
}

function explain(error: unknown, ownArgs: readonly string[]): number {
  printFault(error, { json: ownArgs.includes('--json') });
  return exitCodeOfError(error);
}

async function descend(command: CommandDef, rawArgs: readonly string[], path: readonly CommandDef[]): Promise<number> {
  const [first] = rawArgs;
  const subCommands = await resolved(command.subCommands);
  if (subCommands === undefined) return await runLeaf(command, rawArgs, path);
  if (first === '--version' && path.length === 0) {
    console.log((await resolved(command.meta))?.version);
    return exitCodes.ok;
  }
  if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
    await showHelp(command, path);
    return first === undefined ? exitCodes.usage : exitCodes.ok;
  }
  if (first.startsWith('-')) throw new UsageError(`Unknown option '${first}'. Options come after the command.`);
  if (!Object.hasOwn(subCommands, first)) {
    throw new UsageError(`Unknown command ${JSON.stringify(first)}. Commands: ${Object.keys(subCommands).join(', ')}.`);
  }
  const next = (await resolved(subCommands[first])) as CommandDef;
  return await descend(next, rawArgs.slice(1), [...path, command]);
}

async function runLeaf(command: CommandDef, given: readonly string[], path: readonly CommandDef[]): Promise<number> {
  const args = withSharedArgs((await resolved(command.args)) ?? {}, (await resolved(command.meta))?.name ?? '');
  let rawArgs = endOptionsAtCommand(given, args);
  const beforeDashes = rawArgs.includes('--') ? rawArgs.slice(0, rawArgs.indexOf('--')) : rawArgs;
  if (beforeDashes.includes('--help') || beforeDashes.includes('-h')) {
    await showHelp({ ...command, args }, path);
    return exitCodes.ok;
  }
  try {
    const values = checkArguments(rawArgs, args);
    const { value: color, source } = readSettingWithSource('color');
    if (source === 'config.json' && color !== 'auto') setColors(color === 'never' ? color : 'always');
    // Of commands that run a program, it says something else.
    if (args['json']?.type === 'boolean' && !('command' in args) && readSetting('output') === 'json')
      rawArgs = ['--json', ...rawArgs];
    if (args['context'] === contextArg && typeof values['context'] === 'string') {
      if (values['context'] === '') throw new UsageError('--context must name a context, and is empty.');
      if (values['data-dir'] !== undefined) throw new UsageError('--context and --data-dir both name a server.');
      chooseContext(values['context']);
    }
    const run = async () => await runCommand({ ...command, args }, { rawArgs: [...rawArgs] });
    const { result } = args['output'] === outputArgs.output ? await runInto(values, run) : await run();
    return typeof result === 'number' ? result : exitCodes.ok;
  } catch (error) {
    // Options behind `--` are not ours.
    return explain(error, rawArgs[0] === '--json' ? rawArgs : beforeDashes);
  }
}

/** Runs a command that only reads, with its output in the file of `--output` if there is one. */
async function runInto<T>(values: Readonly<Record<string, unknown>>, run: () => Promise<T>): Promise<T> {
  const { output: file, overwrite = false, follow = false } = values;
  if (typeof file !== 'string') {
    if (overwrite === true) throw new UsageError('--overwrite is only useful with --output.');
    return await run();
  }
  if (file === '') throw new UsageError('--output must name a file, and is empty.');
  if (follow === true) throw new UsageError('--output writes a complete file, but --follow has no end. Use > FILE.');
  const { withOutputFile } = await import('../output/output-file.ts');
  return await withOutputFile(file, { overwrite: overwrite === true }, run);
}

async function showHelp(command: CommandDef, path: readonly CommandDef[]): Promise<void> {
  const names = await Promise.all(path.map(async (parent) => (await resolved(parent.meta))?.name ?? ''));
  const parent: CommandDef = { meta: { name: names.join(' ') } };
  const text = await (path.length === 0 ? renderUsage(command) : renderUsage(command, parent));
  console.log(process.stdout.isTTY ? text : stripVTControlCharacters(text));
  const { examples = [] } = (await resolved(command.meta)) ?? {};
  if (examples.length > 0) console.log(['EXAMPLES', '', ...examples.map((line) => `  ${line}`), ''].join('\n'));
  if (path.length === 0) console.log(`\n${epilogue}`);
}
