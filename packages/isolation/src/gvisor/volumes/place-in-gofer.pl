# place-in-gofer.pl (DEVICE PLACE)...: gives mounts their places in the namespace of the process that opens files for a
# sandbox (the gofer).
#
# Descriptor 3 is its mount namespace, 4 is its root, and those from 5 on are the mounts, one for each PLACE. DEVICE: the
# file system of the place, in the form of /proc/PID/mountinfo.
#
# Names in the namespace are hostile. The program executes nothing there, loads no module and follows no links. What it
# finds must be an empty place.
use strict;
use warnings;
use Config;
use Fcntl qw(O_DIRECTORY);

my @places = @ARGV;
my $setns = $Config{archname} =~ /^aarch64/ ? 268 : 308;
# asm-generic/unistd.h
my ($move_mount, $openat2) = (429, 437);
my $current = -100;       # AT_FDCWD
my $empty = '';

syscall($setns, 3, 0x20000) == 0 or die "the mounts of the sandbox cannot be entered: $!\n";
open(my $root, '<&=', 4) or die "the root of the sandbox: $!\n";
(chdir $root and chroot '.') or die "the root of the sandbox cannot be entered: $!\n";
my $mount = 5;
while (my ($device, $place) = splice(@places, 0, 2)) {
    # O_PATH | O_CLOEXEC; RESOLVE_NO_SYMLINKS
    my $how = pack('Q3', 0x200000 | 0x80000 | O_DIRECTORY, 0, 0x04);
    my $folder = syscall($openat2, $current, $place, $how, length $how);
    die "$place: $!\n" if $folder < 0;
    open(my $handle, '<&=', $folder) or die "$place: $!\n";
    my $number = (stat $handle)[0];
    my $found = join ':', ($number >> 8) & 0xfff, ($number & 0xff) | (($number >> 12) & 0xfff00);
    die "$place is not an empty place\n" if $found ne $device;
    # MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    syscall($move_mount, $mount, $empty, $folder, $empty, 0x04 | 0x40) == 0 or die "$place: $!\n";
    $mount++;
}
