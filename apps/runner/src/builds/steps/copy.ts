import { SoulBoxError } from '@soulbox/base';
import type { Programs } from '@soulbox/envd-client';
import { readSealed } from '@soulbox/keyring';
import type { StepContext } from '../build-spec.ts';
import { findHome } from './home.ts';
import { runScript, script } from './shell.ts';
import type { PerformStep, Step, StepTools } from './step.ts';

/** A folder on the disk of the sandbox that only its root can enter. */
const stage = '/.soulbox-copy';
const archive = `${stage}/archive`;

const makeStage = `rm -rf "$1" && mkdir -m 0700 "$1"`;

/** Unpacks the archive $2 (gzip: $3) into the folder \`files\` beside it. */
const unpack = `
cd "$1"
mkdir -m 0755 files
command -v tar >/dev/null || { echo 'the image has no tar' >&2; exit 1; }
case $3 in gzip) flags=-xpzf ;; *) flags=-xpf ;; esac
tar -C files "$flags" "$2"
rm -f "$2"
`;

/**
 * Moves $1 to $2, with the owner $3 and, when $4 is not empty, with that mode. The content of a folder is merged: an
 * existing entry with the same name is replaced, but folders stay as they are. Links are moved as links.
 */
const placeScript = `
source=$1 target=$2 owner=$3 mode=$4

own_new_folders() {
  if [ -z "$1" ] || [ -d "$1" ]; then return; fi
  own_new_folders "\${1%/*}"
  mkdir "$1"
  chown "$owner" "$1"
}
put() {
  if [ -d "$2" ] && [ ! -L "$2" ]; then
    echo "$2 is a folder and cannot be replaced by a file" >&2
    exit 1
  fi
  rm -f -- "$2"
  mv -- "$1" "$2"
}
merge() {
  for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    if [ ! -e "$entry" ] && [ ! -L "$entry" ]; then continue; fi
    if [ -d "$entry" ] && [ ! -L "$entry" ] && [ -d "$2/\${entry##*/}" ]; then merge "$entry" "$2/\${entry##*/}"
    else put "$entry" "$2/\${entry##*/}"
    fi
  done
}

if [ ! -e "$source" ] && [ ! -L "$source" ]; then
  echo 'the uploaded archive has no such file' >&2
  exit 1
fi
chown -R -h "$owner" "$source"
if [ -n "$mode" ]; then chmod -R "$mode" "$source"; fi
if [ -d "$source" ] && [ ! -L "$source" ]; then
  own_new_folders "\${target%/}"
  merge "$source" "\${target%/}"
else
  case $target in
    */) own_new_folders "\${target%/}"; put "$source" "$target\${source##*/}" ;;
    *) if [ -d "$target" ]; then put "$source" "$target/\${source##*/}"
       else own_new_folders "\${target%/*}"; put "$source" "$target"
       fi ;;
  esac
fi
`;

/** COPY [source, target, owner or "", mode or ""]: the archive contains the source under the same relative path. */
export const performCopy: PerformStep = async (tools, step) => {
  const { context, signal } = tools;
  const [source = '', target = '', owner = '', mode = ''] = step.args;
  const inside = await tools.programs();
  const perform = async (text: string, args: readonly string[]): Promise<void> => {
    const { exitCode, stderr } = await runScript(inside, script(text, args), signal);
    if (exitCode !== 0) throw copyFailed(step, stderr);
  };
  const from = `${stage}/files/${sourcePath(source)}`.replace(/\/$/, '');
  const to = await targetPath(inside, context, target, signal);
  await perform(makeStage, [stage]);
  const kind = await sendArchive(tools, inside, step);
  await perform(unpack, [stage, archive, kind]);
  await perform(placeScript, [from, to, ownerOf(owner, context), modeOf(mode)]);
  await perform('rm -rf "$1"', [stage]);
  return { context, changed: true };
};

function copyFailed({ args: [source = '', target = ''] }: Step, stderr: string): SoulBoxError {
  if (/no space left on device|disk quota exceeded/i.test(stderr))
    return new SoulBoxError('disk_full', 'The files do not fit on the disk of the build sandbox.');
  const words = stderr.trim().split('\n').slice(-3).join(' ').slice(0, 500);
  return new SoulBoxError('build_failed', `failed to copy '${source}' to '${target}': ${words}`);
}

/** Path of the source in the archive, up to the first glob pattern. It never leads out of the archive. */
export function sourcePath(source: string): string {
  const parts = source.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..'))
    throw new SoulBoxError('build_failed', `'${source.slice(0, 200)}' is outside the build folder.`);
  const glob = parts.findIndex((part) => /[*?[\]{}]/.test(part));
  return (glob === -1 ? parts : parts.slice(0, glob)).join('/');
}

async function targetPath(
  programs: Programs,
  context: StepContext,
  target: string,
  signal: AbortSignal,
): Promise<string> {
  const from = context.workdir === '' ? await findHome(programs, context.user, signal) : context.workdir;
  const path = target.startsWith('/') ? target : `${from}/${target}`;
  // A last dot means the folder itself.
  return /(^|\/)\.?$/.test(path) ? `${path.replace(/\.$/, '').replace(/\/+$/, '')}/` : path;
}

function ownerOf(owner: string, { user }: StepContext): string {
  const name = owner === '' ? user : owner;
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$/.test(name))
    throw new SoulBoxError('build_failed', `${JSON.stringify(name.slice(0, 80))} is not a valid file owner.`);
  // A user's group need not have the user's name.
  return name.includes(':') ? name : `${name}:`;
}

function modeOf(mode: string): string {
  if (mode === '' || /^[0-7]{3,5}$/.test(mode)) return mode;
  throw new SoulBoxError(
    'build_failed',
    `${JSON.stringify(mode.slice(0, 20))} is not a valid file mode. Use octal digits.`,
  );
}

/** The control plane forgets the archive then. */
function damagedFiles({ args: [source = ''] }: Step, cause: SoulBoxError): SoulBoxError {
  return new SoulBoxError(
    'state_damaged',
    `The uploaded files of COPY '${source}' are damaged on the server. Build again and upload them again.`,
    { cause },
  );
}

/** Decrypts the archive and writes it unchanged to the disk of the sandbox. Gives its compression. */
async function sendArchive({ blobs, signal }: StepTools, programs: Programs, step: Step): Promise<'gzip' | 'plain'> {
  const { filesBlobKey: key, filesKey: placeKey, filesMayBeReadable: mayBeReadable } = step;
  const blob = await readSealed(blobs, { store: 'uploads', key, placeKey, mayBeReadable });
  if (blob === undefined)
    throw new SoulBoxError('build_failed', `The files of COPY '${step.args[0] ?? ''}' were not uploaded.`);
  let head = Buffer.alloc(0);
  let damage: SoulBoxError | undefined;
  async function* watched(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      for await (const piece of content) {
        if (head.length < 2) head = Buffer.concat([head, piece.subarray(0, 2)]);
        yield piece;
      }
    } catch (error) {
      if (error instanceof SoulBoxError && error.reason === 'state_damaged') damage = damagedFiles(step, error);
      throw error;
    }
  }
  try {
    await programs.upload(archive, watched(blob), { user: 'root', signal });
  } catch (error) {
    throw damage ?? error;
  } finally {
    blob.destroy();
  }
  // RFC 1952: the first two bytes of every gzip file.
  return head[0] === 0x1f && head[1] === 0x8b ? 'gzip' : 'plain';
}
