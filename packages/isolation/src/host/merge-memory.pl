# merge-memory.pl COMMAND...: runs a command. The kernel may merge its memory with equal memory of others (KSM). The
# programs that it starts inherit this.
# merge-memory.pl: ends with 0 if it has inherited this itself, otherwise with 1.
use strict;
use warnings;
use Config;

my $prctl = $Config{archname} =~ /^aarch64/ ? 167 : 157;
my ($set, $get) = (67, 68);    # PR_SET_MEMORY_MERGE, PR_GET_MEMORY_MERGE of linux/prctl.h
if (@ARGV == 0) {
    exit(syscall($prctl, $get, 0, 0, 0, 0) == 1 ? 0 : 1);
}
syscall($prctl, $set, 1, 0, 0, 0) == 0 or die "PR_SET_MEMORY_MERGE: $!\n";
exec { $ARGV[0] } @ARGV or die "$ARGV[0]: $!\n";
