# Runs in a sandbox of the fill test. Writes until the disk is full, and goes on trying: blocks that name themselves, in large files, in
# files that reserved their space first, and in many small ones. It remembers in memory what the kernel took (in mode `fsync` only what it
# called safe). After SIGUSR1 it stops writing and says `still`; after another it reads all of that back, and says what it found.
# Arguments: folder, mode (`plain` or `fsync`).
use strict;
use warnings;
use Errno qw(ENOSPC);
use Fcntl;
use IO::Handle;

my ($folder, $mode) = @ARGV;
my ($block, $perFile) = (64 * 1024, 64);
my ($signals, $refused, $deleted) = (0, 0, 0);
my %taken;    # path => how many blocks of it were taken
$SIG{USR1} = sub { $signals++ };
STDOUT->autoflush(1);

sub content { my ($path, $number, $size) = @_; return substr(sprintf('%-32s', "$path $number") x ($size / 32 + 1), 0, $size) }

sub fail { my ($what) = @_; print "fault: $what: $!\n"; exit 1 }

# A refused write is what this is about; anything else is not.
sub refuse { my ($what) = @_; fail($what) unless $! == ENOSPC; $refused++; select(undef, undef, undef, 0.02); return 0 }

# A part of it is taken where there is room for a part.
sub writeAll {
  my ($file, $text) = @_;
  my $done = syswrite($file, $text);
  $! = ENOSPC if defined $done && $done < length($text);
  return defined $done && $done == length($text);
}

sub writeBlock {
  my ($file, $path, $number, $size) = @_;
  my $text = content($path, $number, $size);
  return refuse("write $path") unless writeAll($file, $text);
  return refuse("fsync $path") if $mode eq 'fsync' && !$file->sync;
  return 1;
}

sub fillFile {
  my ($path) = @_;
  sysopen(my $file, $path, O_CREAT | O_WRONLY | O_TRUNC) or return refuse("create $path");
  $taken{$path} = 0;
  for my $number (0 .. $perFile - 1) {
    last if $signals > 0 || !writeBlock($file, $path, $number, $block);
    $taken{$path}++;
    writeReserved() if $number % 16 == 0;
  }
  close($file) or return refuse("close $path");
  return 1;
}

# Into what is reserved it writes when the disk is full, too, a block at a time.
my ($reserved, $reservedPath, $reservedCount);

sub reserve {
  my ($path) = @_;
  sysopen(my $file, $path, O_CREAT | O_WRONLY | O_TRUNC) or return refuse("create $path");
  # 285: fallocate(2). What it gives is the file's, whatever happens afterwards.
  if (syscall(285, fileno($file), 0, 0, $block * $perFile) != 0) { return refuse("reserve $path") }
  ($reserved, $reservedPath, $reservedCount) = ($file, $path, 0);
  $taken{$path} = 0;
}

sub writeReserved {
  return unless defined $reserved && $reservedCount < $perFile;
  return unless writeBlock($reserved, $reservedPath, $reservedCount, $block);
  $reservedCount++;
  $taken{$reservedPath} = $reservedCount;
}

sub smallFiles {
  my ($name) = @_;
  mkdir($name) or return refuse("mkdir $name");
  for my $number (0 .. 199) {
    my $path = "$name/$number";
    sysopen(my $file, $path, O_CREAT | O_WRONLY | O_TRUNC) or return refuse("create $path");
    my $text = content($path, 0, 512);
    return refuse("write $path") unless writeAll($file, $text);
    $taken{$path} = -1 if $mode ne 'fsync' || $file->sync;
    close($file) or return refuse("close $path");
  }
}

sub deleteOne {
  my ($path) = grep { /large/ } keys %taken;
  return unless defined $path;
  delete $taken{$path};
  unlink($path) or fail("unlink $path");
  $deleted++;
}

mkdir($folder) or fail('mkdir');
print "writes\n";
for (my $round = 0 ; $signals == 0 ; $round++) {
  reserve("$folder/reserved-$round") if $round % 8 == 0;
  fillFile("$folder/large-$round");
  writeReserved();
  smallFiles("$folder/small-$round") if $round % 4 == 0;
  deleteOne() if $round % 5 == 4;
}
print "still\n";
sleep 1 while $signals < 2;

my ($good, $bad) = (0, 0);
for my $path (sort keys %taken) {
  my ($count, $size) = $taken{$path} < 0 ? (1, 512) : ($taken{$path}, $block);
  my $file;
  unless (sysopen($file, $path, O_RDONLY)) { print "lost: $path: $!\n" if $bad < 5; $bad += $count; next }
  for my $number (0 .. $count - 1) {
    my $done = sysread($file, my $text, $size);
    if (defined $done && $done == $size && $text eq content($path, $number, $size)) { $good++ }
    else { $bad++; print "lost: $path block $number\n" if $bad < 5 }
  }
}
print "read good=$good bad=$bad refused=$refused deleted=$deleted\n";
