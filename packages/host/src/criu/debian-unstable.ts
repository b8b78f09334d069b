import { access, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run, SoulBoxError } from '@soulbox/base';
import { aptEnv, installPackages } from '../install-packages.ts';

const keyrings = ['/usr/share/keyrings/debian-archive-keyring.pgp', '/usr/share/keyrings/debian-archive-keyring.gpg'];
// A mirror that does not answer must not delay a start of the server for long.
const timeoutMs = 180_000;

/**
 * Downloads packages of Debian unstable and unpacks them below `directory`/root, without their dependencies. Apt
 * verifies them with Debian's keys. Sources, lists and caches are private to `directory`, so the system's apt is not
 * affected.
 */
export async function unpackFromUnstable(directory: string, packages: readonly string[]): Promise<string> {
  const configuration = await writeConfiguration(directory);
  const downloads = join(directory, 'downloads');
  const root = join(directory, 'root');
  // Apt downloads as this user, so that network responses are not parsed as root.
  await run('install', ['-d', '-o', '_apt', downloads]);
  const apt = async (...args: readonly string[]): Promise<string> =>
    await run('apt-get', ['--config-file', configuration, ...args], { env: aptEnv, cwd: downloads, timeoutMs });
  await apt('update');
  await apt('download', ...packages);
  for (const name of await readdir(downloads)) await run('dpkg', ['-x', join(downloads, name), root]);
  return root;
}

/** Apt reads this after the system's own configuration, so its proxies stay valid. */
async function writeConfiguration(directory: string): Promise<string> {
  const inside = (name: string): string => join(directory, name);
  await mkdir(inside('lists/partial'), { recursive: true });
  await mkdir(inside('cache/archives/partial'), { recursive: true });
  await writeFile(inside('status'), '');
  await writeFile(inside('unstable.sources'), sources(await ensureKeyring()));
  await writeFile(
    inside('apt.conf'),
    `#clear APT::Update;
#clear APT::Default-Release;
Acquire::AllowInsecureRepositories "false";
Acquire::Retries "1";
Acquire::http::Timeout "10";
Dir::Etc::SourceList "${inside('unstable.sources')}";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "${directory}";
Dir::State::Status "${inside('status')}";
Dir::Cache "${inside('cache')}";
`,
  );
  return inside('apt.conf');
}

function sources(keyring: string): string {
  return `Types: deb
URIs: http://deb.debian.org/debian
Suites: unstable
Components: main
Targets: Packages
Signed-By: ${keyring}
`;
}

/** Debian always has the keyring. Ubuntu has it in a separate package. */
async function ensureKeyring(): Promise<string> {
  if ((await findKeyring()) === undefined) await installPackages(['debian-archive-keyring'], () => undefined);
  const found = await findKeyring();
  if (found === undefined) throw new SoulBoxError('host_not_ready', `${keyrings.join(' or ')} was not found.`);
  return found;
}

async function findKeyring(): Promise<string | undefined> {
  for (const path of keyrings) {
    const readable = await access(path).then(
      () => true,
      () => false,
    );
    if (readable) return path;
  }
  return undefined;
}
