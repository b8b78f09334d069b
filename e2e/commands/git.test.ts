/* oxlint-disable typescript/no-deprecated -- the clients keep these helpers until their next major version, and so do we */
import { GitAuthError, GitUpstreamError } from 'e2b';
import { beforeAll, expect, test } from 'vitest';
import { sharedSandbox } from '../harness/sandbox.ts';
import { until } from '../harness/until.ts';

// The clients' git helpers against git's own server, which runs in the same sandbox: no network is needed.
const sandbox = sharedSandbox();
const remote = 'git://127.0.0.1:9418/project.git';
const work = '/home/user/work';

beforeAll(async () => {
  const { commands, git } = sandbox();
  await commands.run('mkdir -p /home/user/served && git init --bare -b main /home/user/served/project.git');
  const daemon = 'git daemon --reuseaddr --export-all --enable=receive-pack --base-path=/home/user/served';
  await commands.run(daemon, { background: true, timeoutMs: 0 });
  await until('the git server', async () => {
    const { stdout } = await commands.run('ss -Htln sport = :9418');
    return stdout !== '';
  });
  await git.configureUser('Ada', 'ada@example.com');
});

test('the user is configured', async () => {
  expect(await sandbox().git.getConfig('user.name')).toBe('Ada');
  expect(await sandbox().git.getConfig('no.such')).toBeUndefined();
});

test('an empty repository is cloned, filled, and pushed', async () => {
  const { git, files } = sandbox();
  await git.clone(remote, { path: work });
  expect(await git.remoteGet(work, 'origin')).toBe(remote);
  await files.write(`${work}/a.txt`, 'one\n');
  await files.write(`${work}/ü ö.txt`, 'two\n');
  const before = await git.status(work);
  expect(before).toMatchObject({ isClean: false, hasUntracked: true, untrackedCount: 2, stagedCount: 0 });
  await git.add(work);
  expect(await git.status(work)).toMatchObject({ hasStaged: true, stagedCount: 2 });
  await git.commit(work, 'First; "quoted" $HOME');
  expect((await sandbox().commands.run(`git -C ${work} log -1 --format=%s%n%an`)).stdout).toBe(
    'First; "quoted" $HOME\nAda\n',
  );
  await expect(git.pull(work)).rejects.toThrow(GitUpstreamError);
  await git.push(work, { remote: 'origin', branch: 'main', setUpstream: true });
  expect(await git.status(work)).toMatchObject({ isClean: true, currentBranch: 'main', ahead: 0, behind: 0 });
});

test('branches are created, switched, listed and deleted', async () => {
  const { git } = sandbox();
  await git.createBranch(work, 'feature/x');
  expect(await git.branches(work)).toMatchObject({
    branches: expect.arrayContaining(['main', 'feature/x']) as string[],
    currentBranch: 'feature/x',
  });
  await git.checkoutBranch(work, 'main');
  await git.deleteBranch(work, 'feature/x');
  expect((await git.branches(work)).branches).toEqual(['main']);
});

test('a second clone pulls what the first one pushed', async () => {
  const { git, files } = sandbox();
  const second = '/home/user/second';
  await git.clone(remote, { path: second, branch: 'main', depth: 1 });
  await files.write(`${work}/a.txt`, 'changed\n');
  await git.add(work, { files: ['a.txt'] });
  await git.commit(work, 'Second', { authorName: 'Grace', authorEmail: 'grace@example.com' });
  expect(await git.status(work)).toMatchObject({ ahead: 1, behind: 0 });
  await git.push(work);
  await git.pull(second);
  expect(await files.read(`${second}/a.txt`)).toBe('changed\n');
});

test('changes are unstaged, restored and discarded', async () => {
  const { git, files } = sandbox();
  await files.write(`${work}/a.txt`, 'unwanted\n');
  await git.add(work);
  await git.reset(work, { paths: ['a.txt'] });
  expect(await git.status(work)).toMatchObject({ hasStaged: false, unstagedCount: 1 });
  await git.restore(work, { paths: ['a.txt'] });
  expect(await files.read(`${work}/a.txt`)).toBe('changed\n');
  await git.reset(work, { mode: 'hard', target: 'HEAD~1' });
  expect(await files.read(`${work}/a.txt`)).toBe('one\n');
});

test('a new repository gets a remote', async () => {
  const { git } = sandbox();
  const path = '/home/user/fresh';
  await git.init(path, { initialBranch: 'trunk' });
  await git.remoteAdd(path, 'origin', remote);
  expect(await git.remoteGet(path, 'origin')).toBe(remote);
  expect(await git.remoteGet(path, 'other')).toBeUndefined();
  expect((await git.status(path)).currentBranch).toBe('trunk');
});

test('a server that asks for a password causes an authentication error, and nothing waits for input', async () => {
  const { commands, git, files } = sandbox();
  const refuse = `
import http.server
class Refuse(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(401); self.send_header('WWW-Authenticate', 'Basic realm="git"'); self.end_headers()
http.server.HTTPServer(('127.0.0.1', 8418), Refuse).serve_forever()`;
  await files.write('/home/user/refuse.py', refuse);
  await commands.run('python3 /home/user/refuse.py', { background: true, timeoutMs: 0 });
  await until('the server', async () => (await commands.run('ss -Htln sport = :8418')).stdout !== '');
  await expect(git.clone('http://127.0.0.1:8418/x.git', { path: '/home/user/never' })).rejects.toThrow(GitAuthError);
});

test('credentials are stored on request', async () => {
  const { commands, git } = sandbox();
  await git.dangerouslyAuthenticate({ username: 'ada', password: 's3cret', host: 'git.example.com' });
  const { stdout } = await commands.run(
    'printf "protocol=https\\nhost=git.example.com\\n\\n" | GIT_TERMINAL_PROMPT=0 git credential fill',
  );
  expect(stdout).toContain('password=s3cret');
});
