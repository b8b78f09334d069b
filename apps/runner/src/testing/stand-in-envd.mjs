// A stand-in for the envd of every sandbox of a bench, in its own network namespace. Each line on standard input is a
// command: {"answer":{"path":"/resumed","status":500}}, {"list":true} or {"forget":true}. Each is answered by one line.
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

const trustPath = '/soulbox/trust';
const [, , port] = process.argv;
const statuses = new Map();
const requests = [];

execFileSync('ip', ['link', 'set', 'lo', 'up']);
createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (chunk) => (body += chunk));
  request.on('end', () => {
    const path = request.url?.split('?')[0] ?? '';
    requests.push({
      path,
      hostToken: request.headers['x-soulbox-host-token'] ?? '',
      body: body === '' ? null : JSON.parse(body),
    });
    const status = statuses.get(path) ?? (path === trustPath ? 200 : 204);
    // 0: close the connection without a response.
    if (status === 0) request.socket.destroy();
    else response.writeHead(status).end(path === trustPath ? '{"needsRoots":false}' : undefined);
  });
}).listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'));

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { answer, forget } = JSON.parse(line);
    if (answer !== undefined) statuses.set(answer.path, answer.status);
    if (forget === true) {
      statuses.clear();
      requests.length = 0;
    }
    process.stdout.write(`${JSON.stringify(requests)}\n`);
  })
  .on('close', () => process.exit());
