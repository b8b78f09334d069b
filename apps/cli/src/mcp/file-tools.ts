import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import { SoulBoxError } from '@soulbox/base';
import { defaultUser, openSandbox } from './open-sandbox.ts';
import { addTool, sandboxIdInput } from './tool.ts';
import type { ToolContext } from './tool.ts';

const readMax = 4 * 1024 * 1024;
/** A message of the transport has at most 32 MiB, and base64 is larger by a third. */
const writeMax = 16 * 1024 * 1024;
const editMax = 4 * 1024 * 1024;
const entriesMax = 1000;
const pathInput = z.string().min(1).max(4096).describe('Absolute, or relative to the home of the user');
const userInput = z.string().min(1).max(256).default(defaultUser).describe('The user inside whose rights apply');
const readOnly = { readOnlyHint: true, idempotentHint: true };

export function addFileTools(context: ToolContext): void {
  const { api } = context;
  addTool(context, 'file_read', {
    title: 'Read a file',
    description: 'Reads the beginning of a file of a sandbox: as text if it is UTF-8, otherwise in base64.',
    input: z.strictObject({
      sandboxId: sandboxIdInput,
      path: pathInput,
      user: userInput,
      maxBytes: z
        .int()
        .min(1)
        .max(readMax)
        .default(256 * 1024)
        .describe('Longer files are cut after these bytes'),
    }),
    hints: readOnly,
    async run({ sandboxId, path, user, maxBytes }) {
      const { files } = await openSandbox(api, sandboxId, user);
      const bytes = await files.read(path, maxBytes + 1);
      const isCut = bytes.length > maxBytes;
      const kept = bytes.subarray(0, maxBytes);
      const text = textOf(kept, isCut);
      const encoding = text === undefined ? 'base64' : 'utf8';
      const content = text ?? kept.toString('base64');
      const note = isCut ? `\n[only the first ${maxBytes} bytes]` : '';
      return { value: { path, encoding, content, isCut }, text: content + note };
    },
  });

  addTool(context, 'file_write', {
    title: 'Write a file',
    description: 'Writes a whole file in a sandbox. Creates missing folders, and replaces a file that exists.',
    input: z.strictObject({
      sandboxId: sandboxIdInput,
      path: pathInput,
      user: userInput,
      content: z.string().max(Math.ceil((writeMax * 4) / 3) + 4),
      encoding: z.enum(['utf8', 'base64']).default('utf8'),
    }),
    hints: { destructiveHint: true, idempotentHint: true },
    async run({ sandboxId, path, user, content, encoding }, signal) {
      const bytes = encoding === 'utf8' ? Buffer.from(content) : decodeBase64(content);
      if (bytes.length > writeMax)
        throw new SoulBoxError('bad_request', `A file can have at most ${writeMax} bytes here.`);
      const { programs } = await openSandbox(api, sandboxId, user);
      await programs.upload(path, bytes, { user, signal });
      return { value: { path, bytes: bytes.length } };
    },
  });

  addTool(context, 'file_edit', {
    title: 'Edit a file',
    description:
      'Replaces a text in a UTF-8 file of a sandbox. The old text must occur exactly once, unless all is set.',
    input: z.strictObject({
      sandboxId: sandboxIdInput,
      path: pathInput,
      user: userInput,
      oldText: z.string().min(1).max(editMax),
      newText: z.string().max(editMax),
      all: z.boolean().default(false).describe('Replace every occurrence'),
    }),
    hints: { destructiveHint: true },
    async run({ sandboxId, path, user, oldText, newText, all }, signal) {
      const { files, programs } = await openSandbox(api, sandboxId, user);
      const bytes = await files.read(path, editMax + 1);
      if (bytes.length > editMax || !isUtf8(bytes))
        throw new SoulBoxError('bad_request', `${path} is not UTF-8, or has more than ${editMax} bytes.`);
      const parts = bytes.toString('utf8').split(oldText);
      const count = parts.length - 1;
      if (count === 0) throw new SoulBoxError('bad_request', `The old text is not in ${path}.`);
      if (count > 1 && !all)
        throw new SoulBoxError(
          'bad_request',
          `The old text is ${count} times in ${path}. Give more of it, or set all.`,
        );
      await programs.upload(path, Buffer.from(parts.join(newText)), { user, signal });
      return { value: { path, replaced: count } };
    },
  });

  addTool(context, 'file_list', {
    title: 'List a folder',
    description: `Lists the names in a folder of a sandbox, at most ${entriesMax}.`,
    input: z.strictObject({ sandboxId: sandboxIdInput, path: pathInput.default('.'), user: userInput }),
    hints: readOnly,
    async run({ sandboxId, path, user }) {
      const { files } = await openSandbox(api, sandboxId, user);
      const names = (await files.list(path)).toSorted();
      const entries = names.slice(0, entriesMax);
      return { value: { path, entries, isCut: names.length > entriesMax }, text: entries.join('\n') };
    },
  });

  addTool(context, 'file_remove', {
    title: 'Remove a file',
    description: 'Removes a file, or a folder with everything in it. Does nothing if it does not exist.',
    input: z.strictObject({ sandboxId: sandboxIdInput, path: pathInput, user: userInput }),
    hints: { destructiveHint: true, idempotentHint: true },
    async run({ sandboxId, path, user }) {
      const { files } = await openSandbox(api, sandboxId, user);
      await files.remove(path);
      return { value: { path, removed: true } };
    },
  });
}

/** Undefined: it is not UTF-8. A character that the limit has cut is left out. */
function textOf(bytes: Buffer, isCut: boolean): string | undefined {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  if (!isCut) return undefined;
  for (let less = 1; less <= 3 && less < bytes.length; less++) {
    const shorter = bytes.subarray(0, bytes.length - less);
    if (isUtf8(shorter)) return shorter.toString('utf8');
  }
  return undefined;
}

function decodeBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64').replace(/=+$/, '') === text.replace(/=+$/, '')) return bytes;
  throw new SoulBoxError('bad_request', 'The content is not valid base64.');
}
