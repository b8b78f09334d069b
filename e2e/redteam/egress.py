# For the programs of batch.py that attack a network policy: TLS and DNS, by hand where the form matters.
import json, re, socket, ssl, struct, time

# A factor for every wait for an answer. Controls, which must get one, are patient: the host may be busy. What must get
# none is not, because it waits in vain.
patience = 1


class Unreached(Exception):
  pass


def take(opened, seconds=2.0):
  opened.settimeout(seconds * patience)
  try: return opened.recv(65536)
  except ConnectionError: return b''


# Sends bytes in pieces of this size and returns the answer. Refused without one.
def exchange(host, port, sent, piece=0, seconds=2.0, pause=0.0005):
  opened = socket.create_connection((host, port), seconds * patience)
  opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
  for at in range(0, len(sent), piece or len(sent)):
    opened.sendall(sent[at:at + (piece or len(sent))])
    if piece: time.sleep(pause)
  answer = take(opened, seconds)
  opened.close()
  if answer == b'': raise ConnectionResetError(104, 'no answer')
  return answer


# Succeeds if a server has answered the plain request.
def plain(host, port, sent, **more):
  answer = exchange(host, port, sent, **more)
  if not answer.startswith(b'HTTP/1.1 2'): raise ConnectionRefusedError(111, answer[:60].decode('latin1'))
  return answer


# The first flight of a TLS client, as the records of OpenSSL.
def hello(name, change=None):
  context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
  context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
  if change: change(context)
  incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
  client = context.wrap_bio(incoming, outgoing, server_hostname=name)
  try: client.do_handshake()
  except ssl.SSLWantReadError: pass
  return outgoing.read()


# The same handshake message in records of this size.
def split(flight, size):
  body = flight[5:]
  return b''.join(b'\x16\x03\x01' + struct.pack('>H', len(body[at:at + size])) + body[at:at + size] for at in range(0, len(body), size))


# Adds bytes behind the extensions of a hello, and corrects all lengths.
def extend(flight, extension):
  body = bytearray(flight[9:])
  at = 34
  at += 1 + body[at]
  at += 2 + struct.unpack('>H', body[at:at + 2])[0]
  at += 1 + body[at]
  length = struct.unpack('>H', body[at:at + 2])[0] + len(extension)
  body[at:at + 2] = struct.pack('>H', length)
  body += extension
  message = b'\x01' + struct.pack('>I', len(body))[1:] + bytes(body)
  return b'\x16\x03\x01' + struct.pack('>H', len(message)) + message


# An extension with these server names.
def server_names(*names):
  entries = b''.join(b'\0' + struct.pack('>H', len(name)) + name for name in names)
  content = struct.pack('>H', len(entries)) + entries
  return struct.pack('>HH', 0, len(content)) + content


# An HTTPS request by hand. Returns status, headers and body as one text. `protocols`: of ALPN.
def https(address, sni, head, port=443, seconds=4.0):
  context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
  context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
  try: opened = context.wrap_socket(socket.create_connection((address, port), seconds * patience), server_hostname=sni)
  except ssl.SSLError as error: raise ConnectionResetError(104, str(error))
  opened.settimeout(seconds * patience)
  opened.sendall(head)
  answer = b''
  try:
    while chunk := opened.recv(65536): answer += chunk
  except (OSError, ssl.SSLError): pass
  opened.close()
  if answer == b'': raise ConnectionResetError(104, 'no answer')
  return answer.decode('latin1')


def request(host, path='/', more='', method='GET', body=''):
  return ('%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n%s' % (method, path, host, more, body)).encode('latin1')


# The request succeeded; an answer of the egress process is a refusal.
def passed(text):
  if re.match(r'HTTP/1\.1 [23]', text) is None: raise ConnectionRefusedError(111, text[:60])
  return text


def without_chunks(text):
  head, _, rest = text.partition('\r\n\r\n')
  if 'transfer-encoding: chunked' not in head.lower(): return text
  body = ''
  while size := int(rest.split('\r\n', 1)[0] or '0', 16):
    rest = rest.split('\r\n', 1)[1]
    body, rest = body + rest[:size], rest[size + 2:]
  return head + '\r\n\r\n' + body + rest


# Succeeds if the value of the rule is in the answer as it is, not masked.
def unmasked(text):
  text = without_chunks(text)
  passed_or_failed = re.match(r'HTTP/1\.1 (200|302|500)', text)
  if passed_or_failed is None: raise Unreached(text[:200])
  found = re.search(r'Bearer([^*"\s]| (?=[^*]))[^\s"<]*', text)
  if found is None: raise ConnectionRefusedError(111, 'masked')
  return found.group(0)


kinds = {'A': 1, 'NS': 2, 'CNAME': 5, 'NULL': 10, 'PTR': 12, 'TXT': 16, 'AAAA': 28, 'SRV': 33, 'HTTPS': 65, 'ANY': 255}


def query(name, kind='A', recursion=True, questions=None):
  encode = lambda one: b''.join(bytes([len(label)]) + label.encode() for label in one.split('.') if label) + b'\0'
  parts = [encode(one) + struct.pack('>HH', kinds[kind], 1) for one in (questions or [name])]
  return struct.pack('>HHHHHH', 0x5b5b, 0x0100 if recursion else 0, len(parts), 0, 0, 0) + b''.join(parts)


# Asks a name server. Succeeds with at least one record.
def lookup(name, kind='A', server=None, over='udp', port=53, message=None, seconds=2.0):
  server = server or re.search(r'nameserver (\S+)', open('/etc/resolv.conf').read()).group(1)
  message = message or query(name, kind)
  opened = connect(server, port, socket.SOCK_DGRAM if over == 'udp' else socket.SOCK_STREAM, seconds)
  opened.send(message if over == 'udp' else struct.pack('>H', len(message)) + message)
  answer = opened.recv(4096)
  if over == 'tcp': answer = answer[2:]
  if len(answer) < 12: raise ConnectionRefusedError(111, 'no answer')
  code, records = answer[3] & 15, struct.unpack('>H', answer[6:8])[0]
  if code != 0 or records == 0: raise ConnectionRefusedError(111, 'code %d, %d records' % (code, records))
  return answer
