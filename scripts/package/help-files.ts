import { gzipSync } from 'node:zlib';
import { renderBash } from '../../apps/cli/src/command-tree/bash.ts';
import { readCommandTree } from '../../apps/cli/src/command-tree/command-tree.ts';
import { renderFish } from '../../apps/cli/src/command-tree/fish.ts';
import { renderManPage } from '../../apps/cli/src/command-tree/man.ts';
import { renderZsh } from '../../apps/cli/src/command-tree/zsh.ts';
import { program } from '../../apps/cli/src/program/program.ts';
import { exitCodeTexts } from '../../apps/cli/src/command-line/exit-codes.ts';
import type { Release } from './npm-package.ts';

/** The manual page and the completions of the command line, at the places where Debian's shells look for them. */
export async function renderHelpFiles({
  version,
  epoch,
}: Pick<Release, 'version' | 'epoch'>): Promise<[path: string, content: string | Buffer][]> {
  const tree = await readCommandTree('soulbox', program);
  const date = new Date(epoch * 1000).toISOString().slice(0, 10);
  const page = renderManPage(tree, { version, date, exitCodes: exitCodeTexts });
  return [
    // Debian Policy 12.1: compressed, without a time.
    ['usr/share/man/man1/soulbox.1.gz', gzipSync(page, { level: 9 })],
    ['usr/share/bash-completion/completions/soulbox', renderBash(tree)],
    ['usr/share/zsh/vendor-completions/_soulbox', renderZsh(tree)],
    ['usr/share/fish/vendor_completions.d/soulbox.fish', renderFish(tree)],
  ];
}
