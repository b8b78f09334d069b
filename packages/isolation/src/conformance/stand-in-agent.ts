// Replaces envd inside the sandboxes of the conformance suite, compiled with Bun: it runs the commands that it gets.
// The suite tests drivers, so it must not fail because of a fault in envd.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { writeFileSync } from 'node:fs';

const port = 49_983;

interface Order {
  readonly argv: readonly string[];
  readonly uid: number;
}

createServer((request, response) => {
  if (request.url === '/health') response.writeHead(204).end();
  else void readOrder(request).then((order) => carryOut(order, response));
}).listen(port, '0.0.0.0');

async function readOrder(request: IncomingMessage): Promise<Order> {
  let text = '';
  for await (const chunk of request as AsyncIterable<Buffer>) text += chunk.toString('utf8');
  return JSON.parse(text) as Order;
}

function carryOut(order: Order, response: ServerResponse): void {
  const become = ['--reuid', String(order.uid), '--regid', String(order.uid), '--clear-groups', '--'];
  const argv = order.uid === 0 ? order.argv : ['setpriv', ...become, ...order.argv];
  const [command = '', ...args] = argv;
  const child = spawn(command, args, { cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
  // Like envd: the processes of users must die first when memory runs out.
  if (child.pid !== undefined) raiseOomScore(child.pid);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString('utf8')));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString('utf8')));
  child.on('error', (error) =>
    response.end(JSON.stringify({ exitCode: 127, signal: null, stdout, stderr: error.message })),
  );
  child.on('close', (exitCode, signal) => response.end(JSON.stringify({ exitCode, signal, stdout, stderr })));
}

function raiseOomScore(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, '100');
  } catch {
    // The process has already ended.
  }
}
