# A service that keeps every byte of each connection and answers each once. Port 7777 serves, 7778 returns the bytes of all
# connections as JSON (latin-1) and forgets them.
import json, socket, threading

connections = []
lock = threading.Lock()


def serve(opened):
  kept = bytearray()
  with lock: connections.append(kept)
  opened.settimeout(0.25)
  try:
    while b'\r\n\r\n' not in kept:
      chunk = opened.recv(65536)
      if not chunk: return
      kept += chunk
    opened.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok')
    while chunk := opened.recv(65536): kept += chunk
  except OSError: pass
  finally: opened.close()


def tell(opened):
  opened.recv(65536)
  with lock:
    body = json.dumps([kept.decode('latin-1') for kept in connections]).encode()
    connections.clear()
  opened.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
  opened.close()


def listen(port, handle):
  server = socket.create_server(('0.0.0.0', port), backlog=256)
  while True: threading.Thread(target=handle, args=(server.accept()[0],), daemon=True).start()


threading.Thread(target=listen, args=(7778, tell), daemon=True).start()
listen(7777, serve)
