# attach-volumes.pl ROOT_ID TAKEN... -- PATH...: gives mounts their places in a sandbox.
#
# Descriptor 3 is the sandbox's mount namespace, and those from 4 on are the mounts, one for each PATH. ROOT_ID is the
# sandbox's root, which owns the folders that are made. A place at, below or above a TAKEN path is refused, wherever
# links in the sandbox lead. At a failure it writes the number of the path, from 0 on, and the reason.
#
# Everything in the namespace is hostile. The program executes nothing there and loads no module, holds the folder that it
# has checked by a descriptor, and never enters another mount, which could belong to a file system that hangs.
use strict;
use warnings;
use Config;
use Fcntl qw(O_DIRECTORY);

my ($root_id, @taken) = @ARGV;
my @paths;
while (@taken) { my $path = pop @taken; last if $path eq '--'; unshift @paths, $path; }

my ($setns, $mkdirat, $readlinkat, $setfsuid, $setfsgid, $prctl) =
    $Config{archname} =~ /^aarch64/ ? (268, 34, 78, 151, 152, 167) : (308, 258, 267, 122, 123, 157);
# asm-generic/unistd.h
my ($move_mount, $openat2) = (429, 437);

my $number = 0;
sub refuse { print STDERR "$number $_[0]\n"; exit 1; }

# What syscall gets as a string must be a variable.
my $empty = '';
my $cross_device = 18;    # EXDEV
my $not_there = 2;        # ENOENT
my $interrupted = 11;     # EAGAIN
my $foreign = 'it leads to a folder of the system or into another mount';
my $current = -100;       # AT_FDCWD

# Opens a folder as a place: O_PATH | O_CLOEXEC | O_DIRECTORY.
sub open_folder {
    my ($at, $path, $resolve) = @_;
    my $how = pack('Q3', 0x200000 | 0x80000 | O_DIRECTORY, 0, $resolve);
    my $folder = -1;
    for (1 .. 100) {
        $folder = syscall($openat2, $at, $path, $how, length $how);
        # The kernel gives up when something is renamed while it follows "..".
        last unless $folder < 0 && $! == $interrupted;
    }
    refuse($foreign) if $folder < 0 && $! == $cross_device;
    return $folder;
}

# The folder of the host, because the sandbox's /proc does not have this process.
my $descriptor_folder = "/proc/$$/fd";
my $own_descriptors = open_folder($current, $descriptor_folder, 0);
sub place_of {
    my $name = "$_[0]";
    my $place = "\0" x 4096;
    my $length = syscall($readlinkat, $own_descriptors, $name, $place, length $place);
    refuse("$!") if $length < 0;
    return substr($place, 0, $length);
}

sub is_at_or_below { my ($place, $folder) = @_; return $folder eq '/' || index("$place/", "$folder/") == 0; }

sub make_folder {
    my ($at, $name) = @_;
    my $place = place_of($at);
    refuse($foreign) if grep { is_at_or_below($place, $_) } @taken;
    syscall($mkdirat, $at, $name, 0755) == 0 or refuse("$!");
}

# The descriptor of the folder, which is made if it is missing. Always in the mount of $root (RESOLVE_NO_XDEV), which is
# what "/" means (RESOLVE_IN_ROOT), and not through the links of /proc (RESOLVE_NO_MAGICLINKS).
sub find_or_make {
    my ($root, $path) = @_;
    my ($above, $place) = ($root, '.');
    for my $name (split m{/}, substr($path, 1)) {
        $place .= "/$name";
        my $folder = open_folder($root, $place, 0x01 | 0x02 | 0x10);
        if ($folder < 0 && $! == $not_there) {
            make_folder($above, $name);
            $folder = open_folder($root, $place, 0x01 | 0x02 | 0x10);
        }
        refuse("$!") if $folder < 0;
        $above = $folder;
    }
    return $above;
}

syscall($setns, 3, 0x20000) == 0 or refuse("the mounts of the sandbox cannot be entered: $!");
# PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP: with the ids of the sandbox's root, the process keeps its capabilities.
syscall($prctl, 28, 4, 0, 0, 0) == 0 or refuse("the ids of the sandbox cannot be used: $!");
syscall($setfsgid, $root_id + 0);
syscall($setfsuid, $root_id + 0);
syscall($setfsuid, -1) == $root_id or refuse('the ids of the sandbox cannot be used');
umask 0;

my $root_path = '/';
my $root = open_folder($current, $root_path, 0);
for my $path (@paths) {
    my $folder = find_or_make($root, $path);
    my $place = place_of($folder);
    refuse($foreign) if grep { is_at_or_below($place, $_) || is_at_or_below($_, $place) } @taken;
    # MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    syscall($move_mount, 4 + $number, $empty, $folder, $empty, 0x04 | 0x40) == 0 or refuse("$!");
    push @taken, $place;
    $number++;
}
