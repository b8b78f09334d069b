import { beforeEach, expect, test } from 'vitest';
import { asUser, createClients, runShell } from '../testing/clients.ts';
import { useEnvd } from '../testing/use-envd.ts';

const envd = useEnvd();

beforeEach(async () => {
  await sh('rm -rf /run/app /run/x* /dev/shm/* /tmp/*');
});

async function sh(line: string): Promise<string> {
  return (await runShell(createClients(envd().baseUrl).process, line, asUser('root'))).stdout;
}

test('a fresh start on a used disk removes pid files, sockets and shared memory, and keeps folders and /tmp', async () => {
  await sh('mkdir -p /run/app/deep /dev/shm/folder; echo 7 >/run/app/deep/app.pid; mkfifo /run/xfifo');
  await sh('perl -MIO::Socket::UNIX -e "IO::Socket::UNIX->new(Local=>q(/run/app/socket), Listen=>1)"');
  await sh('echo x >/dev/shm/folder/sem; echo x >/dev/shm/.hidden; echo kept >/tmp/file');
  expect(await sh('find /run/app -type s')).toBe('/run/app/socket\n');
  await envd().init({ freshStart: true, envVars: { E2B_TEAM_ID: 'new' } });
  expect(await sh('find /run/app /run/x* /dev/shm 2>/dev/null | sort')).toBe('/dev/shm\n/run/app\n/run/app/deep\n');
  expect(await sh('cat /tmp/file /run/e2b/.E2B_TEAM_ID; ls /run/soulbox')).toBe('kept\nnewhost-token\nmetrics\n');
});

test('links are removed, not followed', async () => {
  await sh('mkdir /tmp/folder; echo kept >/tmp/folder/file; ln -s /tmp/folder /run/xlink; ln -s /etc/passwd /run/app');
  await envd().init({ freshStart: true });
  expect(await sh('ls /run/xlink /run/app 2>/dev/null; cat /tmp/folder/file')).toBe('kept\n');
  expect(await sh('grep -c ^root: /etc/passwd')).toBe('1\n');
});

test.each([[{}], [{ freshStart: false }], [{ freshStart: 'yes' }]])(
  'a normal start with %o removes nothing',
  async (body) => {
    await sh('echo 7 >/run/x.pid; echo x >/dev/shm/x');
    await envd().init(body);
    expect(await sh('cat /run/x.pid /dev/shm/x')).toBe('7\nx\n');
  },
);
