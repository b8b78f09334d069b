import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Stage } from './stage.ts';
import { pause, stopAndSave } from './saved-sandboxes.ts';
import type { TestSandbox } from './test-sandbox.ts';
import { ordinaryUser, usualLimits } from './test-sandbox.ts';

const source = readFileSync(new URL('workloads.py', import.meta.url), 'utf8');
const workloads = [...source.matchAll(/^def (\w+)\(\):/gm)].map(([, name = '']) => name);
/** Two dozen Python processes. With a driver that has its own kernel, the memory of that kernel counts too. */
const limits = { ...usualLimits, memoryMb: 1024 };
const cycles = 3;
/** Wall time. During it no timer may continue, and after it no clock may have stopped. */
const pauseMs = 1_000;

const pingAndBind = `import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
socket.socket().bind(("127.0.0.1", 80))
print("bound")`;

/** The resources that programs hold must survive several saves and restores. */
export function describeCheckpoint(stage: Stage): void {
  describe('checkpoint and restore in place', () => {
    let sandbox: TestSandbox;
    const { deletedFiles, restoredTerminal } = stage.tested.createDriver().capabilities;
    const left = [
      ...(deletedFiles ? [] : ['deleted_file']),
      ...(restoredTerminal ? [] : ['terminal_by_its_common_name']),
    ];
    const tried = workloads.filter((name) => !left.includes(name));
    const reports = new Map<string, string[]>(tried.map((name) => [name, []]));

    beforeAll(async () => {
      sandbox = await stage.bench.start({ limits });
      await sandbox.sh(`cat > /workloads.py << 'END'\n${source}\nEND`);
      await sandbox.sh(`setsid python3 /workloads.py /reports ${left.join(' ')} > /workloads.log 2>&1 &`);
      await collect(0);
      for (let cycle = 1; cycle <= cycles; cycle++) {
        sandbox = await pause(stage.bench, sandbox, pauseMs);
        await sandbox.sh(`touch /reports/go.${cycle}`);
        await collect(cycle);
      }
    }, 120_000);
    afterAll(async () => {
      await sandbox[Symbol.asyncDispose]();
    });

    /** Collects the reports of all workloads for one cycle; a workload without a report for 15 s hangs. */
    async function collect(cycle: number): Promise<void> {
      const names = tried.map((name) => `/reports/${name}.${cycle}`).join(' ');
      await sandbox.sh(`for i in $(seq 150); do ls ${names} > /dev/null 2>&1 && break; sleep 0.1; done`);
      for (const [name, told] of reports) told.push((await sandbox.sh(`cat /reports/${name}.${cycle}`)).stdout);
    }

    test.each(tried)('%s', (name) => {
      expect(reports.get(name)).toEqual(Array.from({ length: cycles + 1 }, () => 'ready'));
    });

    if (!deletedFiles) describeRefusal(stage);

    test('the wall clock is right', async () => {
      const inside = Number((await sandbox.sh('date +%s%3N')).stdout);
      expect(Math.abs(inside - Date.now())).toBeLessThan(1_000);
    });

    test('the isolation is that of a new sandbox', async () => {
      await using fresh = await stage.bench.start({ limits });
      const script =
        'findmnt -rno TARGET,OPTIONS | grep -v "^/ \\|^/dev/" | sort; cat /proc/self/cgroup; ulimit -a; nice';
      expect((await sandbox.sh(script)).stdout).toBe((await fresh.sh(script)).stdout);
      expect((await sandbox.sh('cat /proc/self/mountinfo')).stdout).not.toContain(sandbox.spec.envdBundle.directory);
      const status = 'grep -E "^(Cap|Seccomp|NoNewPrivs)" /proc/self/status';
      for (const uid of [0, ordinaryUser])
        expect((await sandbox.sh(status, uid)).stdout).toBe((await fresh.sh(status, uid)).stdout);
      // walls.ts checks whether they are correct; a sandbox's own kernel may grant more of its own resources.
      const attempts = 'unshare --user true 2> /dev/null; echo $?; hostname other 2> /dev/null; echo $?';
      expect((await sandbox.sh(attempts)).stdout).toBe((await fresh.sh(attempts)).stdout);
    });

    test('an ordinary user may ping its own loopback and bind port 80, as before', async () => {
      const { stdout } = await sandbox.sh(`python3 -c '${pingAndBind}'`, ordinaryUser);
      expect(stdout).toBe('bound\n');
    });

    test('limits apply as before', async () => {
      const script = `python3 -c "
import os
n = 0
try:
    while n < 2000:
        if os.fork() == 0:
            import time; time.sleep(3); os._exit(0)
        n += 1
except BlockingIOError: print('refused')"`;
      expect((await sandbox.sh(script)).stdout).toContain('refused');
      const { memoryLimitBytes } = stage.bench.driver.sample(sandbox.instance);
      expect(memoryLimitBytes).toBe(sandbox.spec.limits.memoryMb * 1024 * 1024);
    });

    test('a server without knowledge of the sandbox adopts it', async () => {
      const adopted = await stage.tested.createDriver().adopt(sandbox.spec.sandboxId, sandbox.spec.directory);
      expect(adopted).toEqual(sandbox.instance);
    });
  });
}

/** What a driver cannot save. */
function describeRefusal(stage: Stage): void {
  test.skip('a program with an open, deleted file is saved: this driver declares that it refuses such files');

  test('an open, deleted file makes the checkpoint fail, and the sandbox continues', async () => {
    await using sandbox = await stage.bench.start();
    await sandbox.sh('(exec 3> /deleted; rm /deleted; exec sleep 600) > /dev/null 2>&1 & sleep 0.3');
    await expect(stopAndSave(stage.bench, sandbox.instance)).rejects.toMatchObject({
      reason: 'checkpoint_failed',
      message: expect.stringContaining('deleted') as string,
    });
    await stage.bench.driver.thaw(sandbox.instance);
    expect((await sandbox.sh('pkill sleep && echo on')).stdout).toBe('on\n');
    await using restored = await pause(stage.bench, sandbox, 0);
    expect((await restored.sh('echo on')).stdout).toBe('on\n');
  });
}
