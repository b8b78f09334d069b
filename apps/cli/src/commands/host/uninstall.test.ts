import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree, run } from '@soulbox/base';

/**
 * A separate host for the uninstall: the folders that setup writes to are empty, and processes, interfaces, tables and
 * ip_forward belong to the namespace. `$1` is Node, `$2` the CLI.
 */
const freshHost = `
set -e
# What is mounted below would stay in the list of mounts.
awk '$2 ~ "^/run/" { print $2 }' /proc/mounts | xargs -r umount --lazy
for folder in /run /usr/local /var/lib /sys/fs/cgroup; do mount -t tmpfs none $folder; done
mkdir -p /usr/local/bin /usr/local/lib/soulbox/criu /var/lib/soulbox-host /var/lib/box/templates
soulbox() { "$node" "$cli" "$@"; }
node=$1 cli=$2
boot=$(cat /proc/sys/kernel/random/boot_id)
`;
const setUp = `
echo 1 > /proc/sys/net/ipv4/ip_forward
cat > /var/lib/soulbox-host/changes.json <<END
{"formatVersion":1,"bootId":"$boot","sysctls":{"net.ipv4.ip_forward":{"before":"0","set":"1"}},"cgroupMounts":[],
"cgroupControllers":[],"fastGroupMoves":false,"packages":["crun","nftables"]}
END
nft 'add table inet soulbox_3'
ip link add sb3x1 type veth peer name peer
mkdir -p /run/soulbox-3/roots
# Of a server that died.
echo '{"pid":1,"startTicks":0,"dataDirectory":"/var/lib/box"}' > /run/soulbox-3/server.json
printf '#!/bin/sh\\n# Made by soulbox setup; soulbox uninstall removes it.\\n# clone: "/x"\\nexec x\\n' > /usr/local/bin/soulbox
touch /var/lib/box/records.sqlite /usr/local/lib/soulbox/criu/criu
look() {
  echo "forward $(cat /proc/sys/net/ipv4/ip_forward)"
  echo "tables $(nft list tables | tr '\\n' ' ')"
  echo "links $(ip -o link | grep -c sb3x1 || true)"
  echo "files $(find /run /usr/local /var/lib -mindepth 1 -not -path /run/mount | sort | tr '\\n' ' ')"
}
`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-uninstall-'));
});
afterEach(async () => await removeTree(folder));

async function onFreshHost(commands: string): Promise<string> {
  const script = join(folder, 'script.sh');
  await writeFile(script, `${freshHost}${commands}`);
  const namespaces = ['--mount', '--net', '--pid', '--fork', '--mount-proc'];
  const main = join(import.meta.dirname, '../../main.ts');
  return await run('unshare', [...namespaces, 'sh', script, process.execPath, main]);
}

test('all changes of setup are undone, remaining files are named, and a second run does nothing', async () => {
  const output = await onFreshHost(`${setUp}
    soulbox uninstall --data-dir /var/lib/box
    look
    echo again
    soulbox uninstall --data-dir /var/lib/box`);
  expect(output).toBe(`Done:
  remove the remains of instance 3: /run/soulbox-3, nft table soulbox_3
  set net.ipv4.ip_forward back from 1 to 0
  remove /usr/local/lib/soulbox
  remove /usr/local/bin/soulbox
What stays:
  the data folder /var/lib/box (--data deletes it)
  Debian packages that set-up installed: crun nftables (apt-get remove, if nothing else uses them)
forward 0
tables${' '}
links 0
files /usr/local/bin /usr/local/lib /var/lib/box /var/lib/box/records.sqlite /var/lib/box/templates${' '}
again
There is nothing to undo on this host.
What stays:
  the data folder /var/lib/box (--data deletes it)
`);
});

test('--dry-run changes nothing', async () => {
  const output = await onFreshHost(`${setUp}
    before=$(look)
    soulbox uninstall --data --dry-run --data-dir /var/lib/box
    test "$before" = "$(look)" && echo unchanged`);
  expect(output).toMatch(/^This would be done:\n/);
  expect(output).toContain('  delete /var/lib/box\n');
  expect(output).toMatch(/unchanged\n$/);
});

test('--data deletes the data folder and no other', async () => {
  const output = await onFreshHost(`${setUp}
    soulbox uninstall --data --data-dir /var/lib/soulbox-host 2>&1 || echo "refused $?"
    soulbox uninstall --data --data-dir /var/lib/box > /dev/null
    look`);
  expect(output).toContain('/var/lib/soulbox-host is not a data folder of SoulBox');
  expect(output).toContain('refused 1\n');
  expect(output).toMatch(/files \/usr\/local\/bin \/usr\/local\/lib \n$/);
});

test('later changes by others, and a launcher that is not ours, are kept', async () => {
  const output = await onFreshHost(`${setUp}
    echo 2 > /proc/sys/net/ipv4/ip_forward
    echo '#!/bin/sh' > /usr/local/bin/soulbox
    soulbox uninstall --data-dir /var/lib/box
    look`);
  expect(output).toContain('the kernel parameter net.ipv4.ip_forward: somebody has changed it since, to 2');
  expect(output).toContain('forward 2\n');
  expect(output).toContain(' /usr/local/bin/soulbox ');
});

test('down cleans up after a dead server, but not after one of another data folder', async () => {
  const output = await onFreshHost(`${setUp}
    soulbox down --data-dir /var/lib/other
    look
    soulbox down --data-dir /var/lib/box
    look`);
  const [before = '', after = ''] = output.split('No server is running for /var/lib/box.\n');
  expect(before).toContain('/run/soulbox-3/server.json');
  expect(before).toContain('table inet soulbox_3');
  expect(after).toMatch(/tables \nlinks 0\nfiles \/usr\/local/);
});

test('while a server runs it refuses and undoes nothing', async () => {
  const output = await onFreshHost(`${setUp}
    start=$(awk '{print $22}' /proc/$$/stat)
    echo "{\\"pid\\":$$,\\"startTicks\\":$start,\\"dataDirectory\\":\\"/srv/x\\"}" > /run/soulbox-3/server.json
    before=$(look)
    soulbox uninstall 2>&1 || echo "refused $?"
    test "$before" = "$(look)" && echo unchanged`);
  expect(output).toMatch(
    /^error: Servers run on this host \(pid \d+\)\. Stop each with "soulbox down", then uninstall\. \(illegal_transition\)\n/,
  );
  expect(output).toMatch(/refused 1\nunchanged\n$/);
});
