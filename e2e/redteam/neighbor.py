# A program of the other team: holds a secret word in its memory, a file, shared memory, an abstract socket and a message
# queue, and tells over HTTP whether each still has it. Arguments: word, port, key of the queue.
import ctypes, http.server, json, os, socket, sys, threading, time

word, port, queue = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
libc = ctypes.CDLL(None)
memory = bytearray(word.encode() * 1000)
startedAt = time.time()
paths = ['/home/user/' + word, '/dev/shm/' + word]
for path in paths:
  with open(path, 'w') as file: file.write(word)
libc.msgget(queue, 0o1666)
abstract = socket.socket(socket.AF_UNIX)
abstract.bind('\0' + word)
abstract.listen(64)


def serve():
  while True:
    opened, _ = abstract.accept()
    opened.sendall(word.encode())
    opened.close()


class Handler(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    state = {
      'memory': bytes(memory) == word.encode() * 1000,
      'files': all(open(path).read() == word for path in paths),
      'startedAt': startedAt,
    }
    body = json.dumps(state).encode()
    self.send_response(200)
    self.send_header('Content-Length', str(len(body)))
    self.end_headers()
    self.wfile.write(body)

  def log_message(self, *_): pass


threading.Thread(target=serve, daemon=True).start()
http.server.ThreadingHTTPServer(('0.0.0.0', port), Handler).serve_forever()
