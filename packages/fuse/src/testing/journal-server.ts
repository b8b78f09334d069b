import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { FuseContext, FuseFs, FuseReplyValue } from '../fuse-fs.ts';
import { createMemoryFs } from '../memory/memory-fs.ts';
import { serveInherited } from '../takeover/serve-inherited.ts';

/**
 * A server whose files survive it: it appends each change to a journal before it answers, and begins by doing all of
 * them again. SIGTERM stops it. Arguments: the journal, and how often (0 to 1) it kills itself between the journal and the answer.
 */
const [journal = '', killRate = '0'] = process.argv.slice(2);

const changes = [
  ...(['setattr', 'symlink', 'mknod', 'mkdir', 'unlink', 'rmdir', 'rename', 'link', 'create', 'tmpfile'] as const),
  ...(['write', 'fallocate', 'setxattr', 'removexattr'] as const),
] as const;

interface Line {
  readonly name: (typeof changes)[number];
  readonly args: readonly unknown[];
  readonly unique: number;
  readonly uid: number;
  readonly gid: number;
  readonly reply: string;
}

type AnyMethod = (...args: readonly unknown[]) => FuseReplyValue;

const encode = (value: unknown): unknown => (value instanceof Buffer ? { bytes: value.toString('base64') } : value);
const decode = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'bytes' in value ? Buffer.from(String(value.bytes), 'base64') : value;

function openFs(): FuseFs {
  const memory = createMemoryFs();
  const methodOf = (name: Line['name']): AnyMethod => memory[name] as unknown as AnyMethod;
  const replies = new Map<number, Buffer>();
  // A line without its end was never answered.
  const lines = existsSync(journal) ? readFileSync(journal, 'utf8').split('\n').slice(0, -1) : [];
  for (const line of lines) {
    const { name, args, unique, uid, gid, reply } = JSON.parse(line) as Line;
    methodOf(name)(...args.map(decode), { uid, gid, unique });
    replies.set(unique, Buffer.from(reply, 'base64'));
  }
  const fd = openSync(journal, 'a');
  const journaled = changes.map((name) => {
    const method = (...args: readonly unknown[]): FuseReplyValue => {
      const { unique, uid, gid, encodeReply } = args.at(-1) as FuseContext;
      const encoded = args.slice(0, -1).map(encode);
      const value = methodOf(name)(...args);
      const reply = encodeReply(value).toString('base64');
      writeSync(fd, `${JSON.stringify({ name, args: encoded, unique, uid, gid, reply } satisfies Line)}\n`);
      if (Math.random() < Number(killRate)) process.kill(process.pid, 'SIGKILL');
      return value;
    };
    return [name, method] as const;
  });
  return {
    ...memory,
    ...(Object.fromEntries(journaled) as Partial<FuseFs>),
    findReply: (unique) => replies.get(unique),
    destroy: () => closeSync(fd),
  };
}

await serveInherited(openFs, {
  onServing: (_mount, { stop }) => {
    // oxlint-disable-next-line no-restricted-properties -- it is the main program of a process
    process.once('SIGTERM', () => void stop().then(() => process.exit(0)));
  },
});
