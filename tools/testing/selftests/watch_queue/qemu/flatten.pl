#!/usr/bin/env perl
# SPDX-License-Identifier: GPL-2.0
#
# Makes flat TAP of what run-tests prints in the guest: one line for each test
# case, "ok N PROGRAM.CASE".
#
#	flatten.pl [-k] [-p PREFIX] [-v FILE] <OUTPUT
#	flatten.pl -m FILE...
#
# What should have been there and is not counts as failed: a case that a program
# has announced, a program's end, a program that was to be run.  Of a case that
# fails, what the program said about it follows as comment.
#
#	-k	results of KUnit tests have to be there
#	-p PREFIX	goes before every name
#	-v FILE	append the test lines of FILE, written by the time the input ends
#	-m	put files of flat TAP together into one
#
# The status is 0 if no test has failed and there was one at all.

use strict;
use warnings;

use Getopt::Std;

my %opt;

sub usage {
	die "usage: flatten.pl [-k] [-p PREFIX] [-v FILE] <OUTPUT\n" .
	    "       flatten.pl -m FILE...\n";
}

getopts('kmp:v:', \%opt) or usage();
usage() if !$opt{m} == !!@ARGV;

my $prefix = $opt{p} // '';

$| = 1;

my $total = 0;		# lines that have been printed
my $failed = 0;
my $kunit = 0;		# of them, KUnit's
my @said;		# comment since the last result

# The state of the program that runs: how many cases it has announced, how many
# it has told of, and how many of those failed.
my ($program, $announced, $told, $bad);
my %planned;
my @plan;

sub result {
	my ($ok, $name, @why) = @_;

	$total++;
	$failed++ unless $ok;
	print $ok ? 'ok' : 'not ok', " $total $prefix$name\n";
	print "# $_\n" for $ok ? () : @why;
	@said = ();
}

# Fixture names stay, the name of no fixture goes.
sub case_name {
	my ($text) = @_;

	$text =~ s/^(?:-\s*)?(?:global\.)?//;
	return length($text) ? $text : 'unnamed';
}

sub check_announced {
	my ($name) = @_;

	result(0, $name, "$told results of the $announced that were announced")
		if defined($announced) && $told != $announced;
	undef $announced;
}

sub begin_program {
	($program) = @_;
	($announced, $told, $bad) = (undef, 0, 0);
	@said = ();
	delete $planned{$program};
}

sub end_program {
	my ($status) = @_;
	my $name = $program;

	undef $program;
	if (!defined($status)) {
		result(0, $name, @said, 'did not end');
	} elsif ($status == 137) {
		result(0, $name, @said, 'was killed; it may have taken too long');
	} elsif (!$told && defined($announced) && !$announced) {
		# It has skipped itself as a whole, with a word why.
		undef $announced;
	} elsif (!$told && $status == 4) {
		result(1, "$name # SKIP" . (@said ? " $said[-1]" : ''));
	} elsif (!$told) {
		check_announced($name);
		result($status == 0, $name, @said, "ended with status $status");
	} else {
		check_announced($name);
		result(0, $name, @said, "ended with status $status")
			if $status && $status != 4 && !$bad;
	}
}

# Adds the test lines of a file of flat TAP; returns their number.
sub add_flat {
	my ($file) = @_;
	my $lines = 0;

	open(my $fh, '<', $file) or return 0;
	while (my $line = <$fh>) {
		chomp $line;
		if ($line =~ /^(not )?ok \d+ (.*)/) {
			$lines++;
			result(!$1, $2);
		} elsif ($line =~ /^#/) {
			print "$line\n";
		}
	}
	close($fh);
	return $lines;
}

sub finish {
	print "1..$total\n";
	exit($failed || !$total ? 1 : 0);
}

my $suite = 'unnamed';

sub kunit_line {
	my ($line) = @_;

	# Suites are at the margin, their cases one step in; further in are
	# the parameters of a case.
	if ($line =~ /^    # Subtest: (\S+)/) {
		$suite = $1;
		($announced, $told) = (undef, 0);
	} elsif ($line =~ /^    1\.\.(\d+)/) {
		$announced = $1;
	} elsif ($line =~ /^    (not )?ok \d+ (.*)/) {
		$told++;
		$kunit++;
		result(!$1, "kunit.$suite." . case_name($2), @said);
	} elsif ($line =~ /^(not )?ok \d+ /) {
		check_announced("kunit.$suite");
	} elsif ($line =~ /^\s*# (.*)/) {
		push @said, $1;
	}
}

sub program_line {
	my ($line) = @_;

	if ($line =~ /^(not )?ok \d+\s*(.*)/) {
		$told++;
		$bad++ if $1;
		result(!$1, "$program." . case_name($2), @said);
	} elsif ($line =~ /^1\.\.0\s*# SKIP\s*(.*)/i) {
		$announced = 0;
		result(1, "$program # SKIP $1");
	} elsif ($line =~ /^1\.\.(\d+)/) {
		$announced = $1;
	} elsif ($line =~ /^#  RUN /) {
		@said = ();
	} elsif ($line =~ /^TAP version/ || $line =~ /^\s*$/) {
		;
	} else {
		$line =~ s/^#\s*//;
		push @said, $line;
		shift @said if @said > 40;
	}
}

print "TAP version 13\n";

if ($opt{m}) {
	for my $file (@ARGV) {
		result(0, $file, 'no results') unless add_flat($file);
	}
	finish();
}

while (my $line = <STDIN>) {
	$line =~ s/[\r\n]+$//;

	if ($line =~ /^\@\@ plan ?(.*)/) {
		@plan = split ' ', $1;
		%planned = map { $_ => 1 } @plan;
	} elsif ($line =~ /^\@\@ begin (\S+)/) {
		end_program() if defined($program);
		begin_program($1);
	} elsif ($line =~ /^\@\@ end (\S+) (\d+)/) {
		if (defined($program) && $program eq 'kunit') {
			undef $program;
			result(0, 'kunit', 'results cannot be read') if $2;
		} elsif (defined($program) && $program eq $1) {
			end_program($2);
		}
	} elsif (!defined($program)) {
		print "# $line\n" if length($line);
	} elsif ($program eq 'kunit') {
		kunit_line($line);
	} else {
		program_line($line);
	}
}

end_program() if defined($program);
for my $name (@plan) {
	result(0, $name, 'was not run') if $planned{$name};
}
result(0, 'kunit', 'no results, though the kernel has tests')
	if $opt{k} && !$kunit;

if (defined($opt{v}) && !add_flat($opt{v})) {
	result(0, 'guest finished', 'nothing is known of it');
}

finish();
