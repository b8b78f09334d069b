# volume-work.py FOLDER STEP [SOURCE [PART]]: does one step of the measurement `volumes` in FOLDER, and prints its
# seconds. `prepare` makes SOURCE, which the other steps read. With PART, everything is so many times smaller.
import io, os, random, shutil, subprocess, sys, tarfile, time

folder, step = sys.argv[1], sys.argv[2]
source = sys.argv[3] if len(sys.argv) > 3 else '/tmp/volume-work'
part = int(sys.argv[4]) if len(sys.argv) > 4 else 1
at = lambda name: os.path.join(folder, name)
mib = 1024 * 1024


def run(*command, **options):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)


def add(archive, name, content):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mode = 0o644
    archive.addfile(info, io.BytesIO(content))


def prepare():
    """What the steps need, on the disk of the sandbox."""
    os.makedirs(source)
    chance = random.Random(1)
    text = lambda: chance.randbytes(chance.choice([300, 900, 2500, 9000]))
    with tarfile.open(f'{source}/tree.tar', 'w') as archive:
        for n in range(5000 // part): add(archive, f'tree/{n % 50}/{n}.js', text())
    os.makedirs(f'{source}/repo')
    with tarfile.open(f'{source}/tree.tar') as archive: archive.extractall(f'{source}/repo', filter='data')
    git = ['git', '-c', 'user.name=a', '-c', 'user.email=a@example.com']
    for command in (['init', '-q'], ['add', '-A'], ['commit', '-qm', 'all']): run(*git, *command, cwd=f'{source}/repo')
    os.makedirs(f'{source}/app')
    for n in range(60 // part):
        with tarfile.open(f'{source}/app/p{n}.tgz', 'w:gz') as archive:
            add(archive, 'package/package.json', b'{"name":"p%d","version":"1.0.0"}' % n)
            for file in range(40): add(archive, f'package/lib/{file}.js', text())
    dependencies = ','.join(f'"p{n}":"file:p{n}.tgz"' for n in range(60 // part))
    with open(f'{source}/app/package.json', 'w') as file: file.write('{"name":"app","dependencies":{%s}}' % dependencies)
    run('npm', 'install', '--package-lock-only', '--offline', '--no-audit', '--no-fund', cwd=f'{source}/app')


def create():
    os.mkdir(at('small'))
    for n in range(3000 // part):
        with open(at(f'small/{n}'), 'wb', buffering=0) as file: file.write(b'x' * 1024)


def write():
    piece = os.urandom(mib)
    with open(at('large'), 'wb', buffering=0) as file:
        for _ in range(256 // part): file.write(piece)
        os.fsync(file.fileno())


def without_pages(name):
    file = os.open(at(name), os.O_RDWR)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    return file


def read():
    file = without_pages('large')
    start = time.time()
    while os.read(file, mib): pass
    return start


def randomly(act):
    chance = random.Random(2)
    file = without_pages('large')
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)
    start = time.time()
    for _ in range(5000 // part): act(file, chance.randrange(256 // part * mib // 4096) * 4096)
    os.fsync(file)
    return start


steps = {
    'prepare': prepare,
    'create': create,
    'write': write,
    'read': read,
    'random-read': lambda: randomly(lambda file, offset: os.pread(file, 4096, offset)),
    'random-write': lambda: randomly(lambda file, offset: os.pwrite(file, b'y' * 4096, offset)),
    'clone': lambda: run('git', 'clone', '--no-local', f'{source}/repo', at('clone')),
    'npm': lambda: run('npm', 'ci', '--offline', '--no-audit', '--no-fund', cwd=at('app')),
    'tar': lambda: run('tar', '-xf', f'{source}/tree.tar', '-C', folder),
    'remove': lambda: run('rm', '-rf', at('tree'), at('small')),
}
if step == 'npm':
    os.makedirs(at('app'))
    run('cp', '-r', f'{source}/app/.', at('app'))
begin = time.time()
begin = steps[step]() or begin
print(time.time() - begin)
if step == 'remove': shutil.rmtree(folder)
