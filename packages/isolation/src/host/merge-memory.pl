# merge-memory.pl COMMAND...: runs a program whose memory the kernel may merge with equal memory of others (KSM). What it
# starts inherits this, also across execve.
use strict;
use warnings;
use Config;

my $prctl = $Config{archname} =~ /^aarch64/ ? 167 : 157;
my ($set, $get) = (67, 68);    # PR_SET_MEMORY_MERGE, PR_GET_MEMORY_MERGE of linux/prctl.h
if (@ARGV == 0) {
    # For the check: whether this program has inherited it.
    exit(syscall($prctl, $get, 0, 0, 0, 0) == 1 ? 0 : 1);
}
syscall($prctl, $set, 1, 0, 0, 0) == 0 or die "PR_SET_MEMORY_MERGE: $!\n";
exec { $ARGV[0] } @ARGV or die "$ARGV[0]: $!\n";
