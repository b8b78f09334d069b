# place-volumes.pl FOLDER... -- COMMAND...: gives mounts their places, then runs a command.
#
# The descriptors from 3 on are the mounts, one for each FOLDER. The command does not get them: CRIU would fail on them.
use strict;
use warnings;

my ($move_mount, $close_range) = (429, 436);    # asm-generic/unistd.h
my ($first, $here, $empty) = (3, -100, '');
for (my $mount = $first; @ARGV; $mount++) {
    my $folder = shift @ARGV;
    last if $folder eq '--';
    # MOVE_MOUNT_F_EMPTY_PATH
    syscall($move_mount, $mount, $empty, $here, $folder, 0x04) == 0 or die "a volume has no place at $folder: $!\n";
}
syscall($close_range, $first, 0xffff_ffff, 0) == 0 or die "close_range: $!\n";
exec { $ARGV[0] } @ARGV or die "$ARGV[0]: $!\n";
