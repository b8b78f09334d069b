import { setTimeout as sleep } from 'node:timers/promises';
import type { Sandbox } from 'e2b';

const port = 8099;

/** Fills `residentMb` of memory with different pages, and answers on a port once they are filled. */
const program = `
import http.server, os, sys
block = os.urandom(1 << 20)
memory = []
for index in range(int(sys.argv[1])):
    copy = bytearray(block)
    for page in range(0, len(copy), 4096): copy[page:page + 4] = index.to_bytes(4, 'big')
    memory.append(copy)
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        body = str(len(memory)).encode()
        self.send_response(200); self.send_header('content-length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(('0.0.0.0', ${String(port)}), Answer).serve_forever()
`;

/** Makes a sandbox use this much memory. From then on it answers `askResident`. */
export async function fillMemory(sandbox: Sandbox, sandboxUrl: string, residentMb: number): Promise<void> {
  await sandbox.files.write('/tmp/resident.py', program);
  const handle = await sandbox.commands.run(`python3 /tmp/resident.py ${String(residentMb)}`, {
    background: true,
    timeoutMs: 0,
  });
  handle.wait().catch(() => undefined);
  while ((await askResident(sandboxUrl, sandbox.sandboxId)) !== residentMb) await sleep(50);
}

/** The amount of memory that the program inside reports, through the gateway; undefined while it does not respond. */
export async function askResident(sandboxUrl: string, sandboxId: string): Promise<number | undefined> {
  const response = await fetch(`${sandboxUrl}/`, {
    headers: { 'e2b-sandbox-id': sandboxId, 'e2b-sandbox-port': String(port) },
  });
  const text = await response.text();
  return response.status === 200 ? Number(text) : undefined;
}

/** Enough time to read or write this memory, and shorter than the grace period of a pause in the background. */
export const settleMs = (residentMb: number): number => 300 + 2 * residentMb;
