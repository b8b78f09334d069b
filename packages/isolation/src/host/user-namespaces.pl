# Makes user namespaces: a namespace begins with a process in it, and this program has little memory to copy. A start of
# unshare(1) takes four times as long.
# Each line of the input is a request: the id that creates the namespace, and the lines of its map, such as 0:1000:65536,
# separated by blanks. The answer is a line with the number of a process in it, which ends at the next line. An empty line
# asks for nothing. At a failure the program writes the reason to its error output and ends.
use strict;
use warnings;
use Config;

my ($unshare, $prctl, $setgroups, $setresgid, $setresuid) =
    $Config{archname} =~ /^aarch64/ ? (97, 167, 159, 149, 147) : (272, 157, 116, 119, 117);
my $process;

sub end_process {
    return unless defined $process;
    kill 'KILL', $process;
    waitpid $process, 0;
    undef $process;
}

# The process that is in the namespace. It keeps its capabilities when it becomes $owner, for hosts that do not let
# ordinary users create a user namespace: PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP.
sub be_in_namespace {
    my ($owner, $ready) = @_;
    if ($owner != 0) {
        syscall($prctl, 28, 4, 0, 0, 0) == 0 or die "prctl: $!\n";
        syscall($setgroups, 0, 0) == 0 or die "setgroups: $!\n";
        syscall($setresgid, $owner, $owner, $owner) == 0 or die "setresgid: $!\n";
        syscall($setresuid, $owner, $owner, $owner) == 0 or die "setresuid: $!\n";
    }
    # CLONE_NEWUSER
    syscall($unshare, 0x10000000) == 0 or die "unshare: $!\n";
    # PR_SET_PDEATHSIG, SIGKILL: it does not outlive this program.
    syscall($prctl, 1, 9, 0, 0, 0) == 0 or die "prctl: $!\n";
    syswrite $ready, '.';
    sleep 60;
    exit 0;
}

sub write_map {
    my ($file, $map) = @_;
    # The kernel takes a map in one piece.
    open my $out, '>', "/proc/$process/$file" or die "$file: $!\n";
    syswrite $out, $map or die "$file: $!\n";
    close $out;
}

$| = 1;
while (defined(my $line = <STDIN>)) {
    end_process();
    my ($owner, @rows) = split ' ', $line;
    next unless @rows;
    pipe my $done, my $ready or die "pipe: $!\n";
    $process = fork // die "fork: $!\n";
    if ($process == 0) {
        close $done;
        be_in_namespace($owner + 0, $ready);
    }
    close $ready;
    sysread $done, my $sign, 1 or exit 1;
    my $map = join '', map { tr/:/ /r . "\n" } @rows;
    write_map($_, $map) for qw(uid_map gid_map);
    print "$process\n";
}
end_process();
