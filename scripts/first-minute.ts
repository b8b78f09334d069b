import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree, run } from '@soulbox/base';

// Records docs/first-minute.svg, the picture of README.md: runs the commands of a first minute and draws their output.
// Run it as root on a host where `npm start` has been run once. SOULBOX_* variables of this shell are passed to the
// server, such as SOULBOX_DATA_DIR, SOULBOX_TEMPLATES_DIR, SOULBOX_INSTANCE, SOULBOX_PORT and SOULBOX_TLS_PORT for a
// second server.
const repository = join(import.meta.dirname, '..');
const startTimeoutMs = 10 * 60_000;

interface Take {
  readonly command: string;
  readonly output: string;
  readonly seconds: number;
}

/** The first block of this language in README.md. */
async function readProgram(language: string): Promise<string> {
  const readme = await readFile(join(repository, 'README.md'), 'utf8');
  const program = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(readme)?.[1];
  if (program === undefined) throw new Error(`README.md has no program in ${language}`);
  return program;
}

/** Runs `npm start` in the background. Resolves with its output when its demonstration is over. */
async function startServer(): Promise<{ take: Take; stop: () => Promise<void> }> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, ['scripts/bootstrap.mjs', 'start'], {
    cwd: repository,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = once(child, 'exit');
  const giveUpAt = Date.now() + startTimeoutMs;
  while (!output.includes('The server stays up')) {
    if (child.exitCode !== null || Date.now() > giveUpAt) throw new Error(`npm start did not succeed:\n${output}`);
    await sleep(50);
  }
  const stop = async (): Promise<void> => {
    child.kill('SIGINT');
    await ended;
  };
  return { take: { command: 'sudo npm start', output, seconds: (performance.now() - startedAt) / 1000 }, stop };
}

async function record(): Promise<Take[]> {
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-first-minute-'));
  const { take, stop } = await startServer();
  try {
    const soulbox = join(folder, 'soulbox');
    await writeFile(soulbox, `#!/bin/sh\nexec '${process.execPath}' '${repository}/apps/cli/src/main.ts' "$@"\n`, {
      mode: 0o755,
    });
    await symlink(join(repository, 'node_modules'), join(folder, 'node_modules'));
    await writeFile(join(folder, 'first.mjs'), await readProgram('js'));
    const env = { ...process.env, PATH: `${folder}:${join(process.execPath, '..')}:${process.env['PATH'] ?? ''}` };
    const takes: Take[] = [take];
    let id = '';
    for (const [shown, real] of [
      ['eval "$(sudo soulbox env)"; node first.mjs', 'node first.mjs'],
      ['soulbox sandbox create', 'soulbox sandbox create'],
      ['soulbox sandbox fork ID --count 2', 'soulbox sandbox fork "$ID" --count 2'],
      ['soulbox sandbox list', 'soulbox sandbox list'],
    ] as const) {
      const startedAt = performance.now();
      const output = await run('bash', ['-c', `eval "$(soulbox env)"; ID=${id}; ${real}`], {
        cwd: folder,
        env,
        timeoutMs: 60_000,
      });
      const seconds = (performance.now() - startedAt) / 1000;
      takes.push({ command: shown.replace('ID', id || 'ID'), output, seconds });
      if (real === 'soulbox sandbox create') id = output.trim();
    }
    return takes;
  } finally {
    await stop();
    await removeTree(folder);
  }
}

const columns = 104;
const lineHeight = 19;
const charWidth = 8.1;
const margin = 18;

/** Without colors, and without the exports for keys and TLS, which would fill the picture. */
function linesOf({ output }: Take): string[] {
  return output
    .replace(/\x1b\[[0-9;]*m/g, '')
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '' && !/^export |^The server stays up/.test(line));
}

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function draw(takes: readonly Take[]): string {
  const rows: string[] = [];
  let y = margin + 34;
  const addRow = (text: string, style: string, right = ''): void => {
    const short = text.length > columns ? `${text.slice(0, columns - 1)}…` : text;
    const body = escapeXml(short).replace('✓', '<tspan class="good">✓</tspan>');
    rows.push(`<text x="${margin}" y="${y}" class="${style}" xml:space="preserve">${body}</text>`);
    if (right !== '')
      rows.push(`<text x="${width - margin}" y="${y}" class="time" text-anchor="end">${escapeXml(right)}</text>`);
    y += lineHeight;
  };
  const width = Math.round(columns * charWidth + 2 * margin);
  for (const take of takes) {
    addRow(`$ ${take.command}`, 'command', `${take.seconds.toFixed(1)} s`);
    for (const line of linesOf(take)) addRow(line, 'output');
    y += 8;
  }
  const height = y + margin - 12;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>The first minute with SoulBox</title>
<style>
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #c9d1d9 }
.command { fill: #ffffff; font-weight: bold } .time { fill: #8b949e } .good { fill: #3fb950 }
</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<circle cx="22" cy="18" r="5" fill="#ff5f56"/><circle cx="40" cy="18" r="5" fill="#ffbd2e"/><circle cx="58" cy="18" r="5" fill="#27c93f"/>
${rows.join('\n')}
</svg>
`;
}

await writeFile(join(repository, 'docs/first-minute.svg'), draw(await record()));
