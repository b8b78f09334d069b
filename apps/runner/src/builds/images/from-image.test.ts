import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomId, removeTree, run } from '@soulbox/base';
import { bcrypt, makeBusyboxRootfs, makeImage, pushImage, startRegistry } from '@soulbox/templates/testing';
import type { Registry } from '@soulbox/templates/testing';
import { testDirectory } from '@soulbox/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBuildLab } from '../testing/build-lab.ts';
import type { BuildLab, Told } from '../testing/build-lab.ts';
import { askBuilt, linesOf, sh, user, workdir } from '../testing/steps.ts';

let lab: BuildLab;
let registryDirectory: string;
let registry: Registry;
/**
 * A registry that requires the password `secret-of-alice` of alice. Undefined where such a registry cannot be started.
 */
let locked: Registry | undefined;

beforeAll(async () => {
  await mkdir(testDirectory, { recursive: true, mode: 0o700 });
  registryDirectory = await mkdtemp(join(testDirectory, 'registry-'));
  registry = await startRegistry(join(registryDirectory, 'open'));
  const hash = await bcrypt('secret-of-alice');
  if (hash !== '') locked = await startRegistry(join(registryDirectory, 'locked'), `alice:${hash}\n`);
  lab = await openBuildLab(5, {
    SOULBOX_IMAGES: `e2bdev/base:*=template:base,box:*=${registry.address}/boxes/box:*`,
    // No server listens on the second port.
    SOULBOX_INSECURE_REGISTRIES: [registry, locked].map((one) => one?.address ?? '127.0.0.1:9').join() + ',127.0.0.1:9',
  });
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await locked?.[Symbol.asyncDispose]();
  await removeTree(registryDirectory);
});

describe('an image', () => {
  const fromImage = (reference: string, more: object = {}) => ({
    baseTemplateId: undefined,
    image: { reference, ...more },
  });
  let layout: string;

  beforeAll(async () => {
    const rootfs = join(registryDirectory, 'rootfs');
    await makeBusyboxRootfs(rootfs);
    await mkdir(join(rootfs, 'usr/local/lib'), { recursive: true });
    await writeFile(join(rootfs, 'usr/local/lib/file'), '');
    layout = await makeImage(rootfs, join(registryDirectory, 'layout'), {
      user: 'app',
      environment: ['FROM_IMAGE=yes'],
    });
    await pushImage(layout, `${registry.address}/boxes/box:1`);
  });

  it('is fetched once, and its sandboxes belong to `user`', async () => {
    const steps = [sh('id -un >/tmp/who; echo $FROM_IMAGE >>/tmp/who')];
    const first = await lab.build(steps, fromImage(`${registry.address}/boxes/box:1`));
    expect(first.failed).toBeUndefined();
    expect(linesOf(first, 'base')).toContain('fetching the image');
    const second = await lab.build([...steps, user('app'), workdir('/srv/made'), sh('pwd >where')], fromImage('box:1'));
    expect(second.failed).toBeUndefined();
    expect(second.done?.cachedSteps).toBe(1);
    expect(linesOf(second, 'base')).toEqual([`box:1 is taken from ${registry.address}/boxes/box:1`]);
    const shown = await askBuilt(lab, second, 'cat /tmp/who where; id -un; stat -c "%n %a" /code /usr/local/lib/file');
    expect(shown).toBe('user\nyes\n/srv/made\napp\n/code 777\n/usr/local/lib/file 777\n');
    expect((await lab.runner().call('listTemplates', {}))['templates']).toHaveLength(1);
  });

  it('with a mapped name is a local template', async () => {
    const told = await lab.build([], fromImage('docker.io/e2bdev/base'));
    expect(linesOf(told, 'base')).toEqual(['e2bdev/base:latest is the template base here']);
    expect(told.done).toBeDefined();
  });

  it('that is being fetched when its build is canceled leaves nothing', async () => {
    let canceled = 0;
    for (const afterMs of [100, 250, 400]) {
      // A different image each time. Otherwise it would exist already if one import ended before its build was
      // canceled.
      const tag = randomId(12);
      const environment = [`CANCELED=${tag}`];
      const layout = join(registryDirectory, `layout-${tag}`);
      const image = await makeImage(join(registryDirectory, 'rootfs'), layout, { environment });
      await pushImage(image, `${registry.address}/boxes/canceled:${tag}`);
      const { buildId, told } = lab.start([], fromImage(`${registry.address}/boxes/canceled:${tag}`));
      const outcome = told.catch((error: unknown) => String(error));
      await sleep(afterMs);
      await lab.runner().call('cancelBuild', { buildId });
      const ended = await outcome;
      if (typeof ended === 'string') expect(ended).toMatch(/abort|cancel/i);
      canceled += typeof ended === 'string' ? 1 : 0;
    }
    expect(canceled).toBeGreaterThan(0);
    const drafts = async (): Promise<string[]> =>
      (await readdir(join(lab.directory, 'templates'))).filter((name) => name.startsWith('.'));
    for (let tries = 0; tries < 50 && (await drafts()).length > 0; tries++) await sleep(100);
    expect(await drafts()).toEqual([]);
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(`${lab.directory}/templates/.`);
  });

  it('that cannot be fetched fails the build with the reason', async () => {
    const reasons = async (reference: string): Promise<string> => {
      const { failed } = await lab.build([], fromImage(reference));
      expect(failed).toMatchObject({ reason: 'image_unavailable', step: 'base' });
      return failed?.message ?? '';
    };
    expect(await reasons(`${registry.address}/boxes/none:1`)).toMatch(/manifest unknown|name unknown/i);
    expect(await reasons('--bad name')).toMatch(/is not a valid image name/);
    expect(await reasons('127.0.0.1:1/a/b')).toMatch(/has a private address/);
    expect(await reasons('no.such.host.invalid/a/b')).toMatch(/was not found/);
    expect(await reasons('127.0.0.1:9/a/b')).toMatch(/cannot be reached/);
    expect(await readdir(join(lab.directory, 'run/images'))).toEqual([]);
  });
});

describe('an image of a registry with a password', () => {
  it('requires the right password, which is not stored', async (context) => {
    if (locked === undefined) return context.skip('libcrypt here cannot make a bcrypt hash');
    const { address } = locked;
    const login = ['--dest-creds', 'alice:secret-of-alice'];
    // A different image from the one above. Otherwise it would not have to be fetched.
    const rootfs = join(registryDirectory, 'rootfs');
    const image = await makeImage(rootfs, join(registryDirectory, 'layout-locked'), { environment: ['LOCKED=1'] });
    await pushImage(image, `${address}/box:1`, login);
    const build = async (password: string | undefined): Promise<Told> => {
      const credentials = password === undefined ? {} : { credentials: { basic: { username: 'alice', password } } };
      return await lab.build([], {
        baseTemplateId: undefined,
        image: { reference: `${address}/box:1`, ...credentials },
      });
    };
    expect((await build('wrong')).failed?.message).toMatch(/unauthorized|authentication required/i);
    expect((await build(undefined)).failed?.message).toMatch(/unauthorized|authentication required/i);
    expect((await build('secret-of-alice')).done).toBeDefined();
    // The host now has the image, but a caller without the password still does not get it.
    expect((await build(undefined)).failed?.reason).toBe('image_unavailable');
    await expect(run('grep', ['-rl', 'secret-of-alice', lab.directory])).rejects.toThrow('exit 1');
  });
});
