# sync-volumes.pl DEVICE PATH...: writes what the kernel has of changed files of volumes to the process that serves them.
#
# Descriptor 3 is the sandbox's mount namespace, and 4 is its root in it. DEVICE PATH: the number of a file system in the form of /proc/PID/mountinfo,
# and where it is mounted. What is at the path instead is left alone: programs of the sandbox may have covered it.
#
# Everything in the namespace is hostile. The program executes nothing there and loads no module.
use strict;
use warnings;
use Config;
use Fcntl qw(O_DIRECTORY O_NONBLOCK);

my @mounts = @ARGV;
my ($setns, $syncfs) = $Config{archname} =~ /^aarch64/ ? (268, 267) : (308, 306);
my $openat2 = 437;        # asm-generic/unistd.h
my $current = -100;       # AT_FDCWD

syscall($setns, 3, 0x20000) == 0 or die "the mounts of the sandbox cannot be entered: $!\n";
open(my $root, '<&=', 4) or die "the root of the sandbox: $!\n";
(chdir $root and chroot '.') or die "the root of the sandbox cannot be entered: $!\n";
while (my ($device, $path) = splice(@mounts, 0, 2)) {
    # O_CLOEXEC; RESOLVE_NO_SYMLINKS: the kernel wrote the path without links.
    my $how = pack('Q3', 0x80000 | O_DIRECTORY | O_NONBLOCK, 0, 0x04);
    my $folder = syscall($openat2, $current, $path, $how, length $how);
    next if $folder < 0;
    open(my $handle, '<&=', $folder) or die "$path: $!\n";
    my $number = (stat $handle)[0];
    my $found = join ':', ($number >> 8) & 0xfff, ($number & 0xff) | (($number >> 12) & 0xfff00);
    next if $found ne $device;
    syscall($syncfs, $folder) == 0 or die "$path: $!\n";
}
