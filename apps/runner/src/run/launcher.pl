# Runs one program: launcher.pl REPORT TIMEOUT_MS MEMORY_BYTES PROGRAM [ARGUMENT...]
#
# Perl, because every Debian and Ubuntu has it, and because only the process that forked a program gets its exact memory
# use: envd's own spawn shares its memory with the child for a moment, which Linux then counts as the child's peak.
# When the program has ended, REPORT is written and the remaining processes of its session are killed. 0 means no limit.
use strict;
use warnings;

my ($report_path, $timeout_ms, $memory_limit, @command) = @ARGV;
my $look_every = 0.02;    # seconds; a limit can be exceeded by the memory that is touched in this time
my $wait_at_most = 0.1;

# O_WRONLY | O_CREAT | O_EXCL: never open a file or a link that somebody else has put there.
sysopen(my $report, $report_path, 1 | 64 | 128, 0600) or die "cannot write $report_path: $!\n";

sub now {
    my $time = pack('q2', 0, 0);
    syscall(machine() eq 'aarch64' ? 113 : 228, 1, $time);    # clock_gettime(CLOCK_MONOTONIC)
    my ($seconds, $nanoseconds) = unpack('q2', $time);
    return $seconds + $nanoseconds / 1e9;
}

my $machine;
sub machine {
    return $machine if defined $machine;
    require Config;
    return $machine = $Config::Config{archname} =~ /^aarch64/ ? 'aarch64' : 'x86_64';
}

# Process id, session and resident pages of all processes.
sub processes {
    opendir(my $proc, '/proc') or return ();
    my @found;
    for my $pid (grep { /^\d+$/ } readdir $proc) {
        open(my $stat, '<', "/proc/$pid/stat") or next;
        my $line = <$stat> // '';
        close $stat;
        # The name in brackets may contain anything.
        my @fields = split ' ', substr($line, rindex($line, ')') + 1);
        push @found, { pid => $pid, session => $fields[3], pages => $fields[21] // 0 } if @fields > 3;
    }
    return @found;
}

my ($session) = map { $_->{session} } grep { $_->{pid} == $$ } processes();
sub members { return defined $session ? grep { $_->{session} == $session && $_->{pid} != $$ } processes() : () }

my ($child, $status);

# The child keeps its process id until it is waited for, even in a session of its own.
sub end_all { kill 'KILL', (defined $status ? () : $child), map { $_->{pid} } members() }

my $page_bytes = 4096;
if ($memory_limit) {
    require POSIX;
    $page_bytes = POSIX::sysconf(POSIX::_SC_PAGESIZE());
}
my $deadline = $timeout_ms ? now() + $timeout_ms / 1000 : 0;

# The exec of the child closes this pipe, which shows that the exec succeeded.
pipe(my $exec_failed, my $tell) or die "pipe: $!\n";
$SIG{CHLD} = sub { };
$child = fork // die "fork: $!\n";
if ($child == 0) {
    $SIG{CHLD} = 'DEFAULT';
    no warnings 'exec';
    exec { $command[0] } @command or syswrite $tell, $! + 0;
    kill 'KILL', $$;
}
# A signal to the group is meant for the program. This process stays to observe the result.
$SIG{$_} = 'IGNORE' for qw(INT TERM HUP QUIT PIPE);
close $tell;
my $errno = <$exec_failed> // 0;
open(STDIN, '<', '/dev/null');
open(STDOUT, '>', '/dev/null');
open(STDERR, '>', '/dev/null');

my ($timed_out, $memory_exceeded) = (0, 0);
until (defined $status) {
    my $ended = waitpid($child, 1);    # WNOHANG
    if ($ended == $child) { $status = $?; last }
    if ($deadline && !$timed_out && now() >= $deadline) { $timed_out = 1; end_all() }
    if ($memory_limit && !$timed_out && !$memory_exceeded) {
        my $pages = 0;
        $pages += $_->{pages} for members();
        if ($pages * $page_bytes > $memory_limit) { $memory_exceeded = 1; end_all() }
    }
    my $pause = $memory_limit ? $look_every : $wait_at_most;
    my $left = $deadline && !$timed_out ? $deadline - now() : $pause;
    # The end of the child interrupts the sleep.
    select(undef, undef, undef, $left < 0 ? 0 : $left < $pause ? $left : $pause);
}
end_all();

# getrusage(RUSAGE_CHILDREN): two times of seconds and microseconds, then the largest resident size of one process in KiB.
my $usage = "\0" x 144;
syscall(machine() eq 'aarch64' ? 165 : 98, -1, $usage);
my @values = unpack('q5', $usage);
my $peak = $values[4] * 1024;
syswrite $report, "errno $errno\ntimed_out $timed_out\nmemory_exceeded $memory_exceeded\npeak_bytes $peak\n";
close $report;

my $signal = $status & 127;
exit($status >> 8) if !$signal;
require Config;
my $name = (split ' ', $Config::Config{sig_name})[$signal];
$SIG{$name} = 'DEFAULT' if $name ne 'KILL' && $name ne 'STOP';
kill $signal, $$;
exit(128 + $signal);
