import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { findFreePort } from './valkey.ts';

const program = '/usr/sbin/nginx';

/** Whether the Debian package nginx is installed. */
export const hasNginx = existsSync(program);

const startMs = 10_000;

/** nginx with `proxy_cache` in front of a store, as docs/cache.md describes it. */
export async function startNginx(upstream: string): Promise<{ readonly url: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-nginx-'));
  await mkdir(join(folder, 'cache'));
  const port = await findFreePort();
  const file = join(folder, 'nginx.conf');
  await writeFile(file, configuration(folder, port, new URL(upstream)));
  const child = spawn(program, ['-c', file, '-p', folder, '-e', join(folder, 'error.log')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const until = performance.now() + startMs;
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() > until) throw new Error('nginx did not start.');
    await sleep(20);
  }
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await ended;
      await removeTree(folder);
    },
  };
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  const answer = await promise;
  socket.destroy();
  return answer;
}

function configuration(folder: string, port: number, { host, origin }: URL): string {
  return `
daemon off; master_process off; worker_processes 1; pid ${folder}/pid;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  proxy_cache_path ${folder}/cache levels=1:2 keys_zone=soulbox:10m max_size=10g inactive=7d use_temp_path=off;
  server {
    listen 127.0.0.1:${port};
    location / {
      limit_except GET HEAD { deny all; }
      proxy_pass ${origin};
      proxy_set_header Host ${host};
      proxy_cache soulbox;
      proxy_cache_key $uri;
      proxy_cache_valid 200 7d;
      proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;
    }
  }
}
`;
}
