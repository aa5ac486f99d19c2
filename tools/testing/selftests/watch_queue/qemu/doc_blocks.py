#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Whether what the documentation shows is so.

Takes every block of code, commands or output out of the pages about notification
pipes, and tests it by what it is.  Prints TAP.

  doc_blocks.py KSRC OBJ OUT [PAGE...]

KSRC is the kernel's tree and OBJ where it was built, with headers ("make headers");
more pages than those of KSRC can be given.  What is for a guest to run goes to OUT:
OUT/NAME for programs, and OUT/NAME.sh for commands.  CC is the compiler of OBJ.

What a block is, it tells by itself or a marker before it says it: a comment in RST
(".. doc-block: KIND ARGUMENT..."), mdoc (".\\" doc-block: ...") or Markdown
("<!-- doc-block: ... -->").  A block of no known kind is a failure.
The kinds, and whether they need a marker:

  program [NAME]             C with a main(): compiled for the guest.  No marker, if
                             its page's name will do.
  quote [FILE]               Definitions: they are in FILE, but for white space and
                             comments.  No marker, if it is the header of the ABI.
  compile FILE               Commands that compile the page's program as FILE, where a
                             kernel was built: they are run.
  make                       Commands that begin with make: the targets are there, and
                             what installs is run.  No marker.
  call FILE                  A prototype: FILE declares the system call that way.
  words FILE                 All names in capitals are in FILE.
  fragment NAME              C that is about the two ends of a notification pipe, fds:
                             compiled for the guest, in a program that watches the
                             session keyring, with the tag 1, and prints the types
                             and subtypes of records.
  module NAME                A file of the example of a source.
  into FILE instead|before "LINE"
                             What the example adds to FILE, instead of or before the
                             line that has these words.  All of it is compiled with
                             the kernel's objects, with its option and without, and
                             looked at by sparse.
  kconfig SYMBOL...          An option that can be had if these can.
  config                     Options that the kernel OBJ has.
  shell NAME                 Commands for the guest to run.  Their syntax, what options
                             they give wqmon, and what jq asks of its objects, is
                             looked at here.
  shipped FILE               Commands or configuration that the test of shipping has in
                             FILE, and works with; what options they give wqmon is
                             looked at here.
  rule FILE                  What a test loads: each line is one of FILE, too, or a
                             string of it if that is a program.
  output FILE... [-- WORD...]
                             What programs or the kernel print: every word is in a
                             string of the files, in the text of an errno, or one of
                             WORD; strings with conversions count only where they
                             fit, and one of more than one word has to.
"""

import glob
import os
import re
import shlex
import subprocess
import sys

PAGES = [
    "Documentation/userspace-api/watch_queue.rst",
    "Documentation/core-api/watch_queue.rst",
    "Documentation/core-api/watch_queue_performance.rst",
    "Documentation/admin-guide/watch_queue.rst",
    "Documentation/admin-guide/watch_queue-shipping.rst",
]
MAN_PAGES = "tools/watch_queue/*.[1-8]"

UAPI = "include/uapi/linux/watch_queue.h"

SHIPPING = "tools/testing/selftests/watch_queue/qemu/shipping"

# The program that a fragment becomes.
FRAGMENT = """#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <linux/keyctl.h>
#include <linux/watch_queue.h>

static void fragment(int *fds)
{
%s}

int main(void)
{
	struct watch_notification *n;
	__u64 buf[512];
	ssize_t len, at;
	int fds[2];

	if (pipe2(fds, O_NOTIFICATION_PIPE) < 0)
		return 1;
	fragment(fds);
	if (syscall(SYS_keyctl, KEYCTL_WATCH_KEY, KEY_SPEC_SESSION_KEYRING, fds[0], 1) < 0)
		return 1;
	while ((len = read(fds[0], buf, sizeof(buf))) > 0) {
		for (at = 0; at < len; at += n->info & WATCH_INFO_LENGTH) {
			n = (void *)((char *)buf + at);
			printf("type %%u subtype %%u\\n", n->type, n->subtype);
		}
		fflush(stdout);
	}
}
"""

# What the example of a source says is not shown.
HARDWARE = """struct door;
bool door_hw_is_open(struct door *door);
bool door_hw_is_locked(struct door *door);
"""


class Bad(Exception):
    """What is wrong with a block."""


class Block:
    """A block of a page: its text without indentation, its line, and its marker."""

    def __init__(self, page, line, lines, marker):
        self.page = page
        self.line = line
        self.text = undent(lines)
        self.marker = marker

    def __str__(self):
        return re.sub(r".*/Documentation/|.*/", "", self.page) + f":{self.line}"


# ---- Reading pages ----

def indent_of(line):
    return len(line.expandtabs()) - len(line.expandtabs().lstrip())


def undent(lines):
    """Lines as a text, without what all of them are indented by."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    if all(line.startswith("\t") for line in lines if line.strip()):
        while all(line.startswith("\t") for line in lines if line.strip()):
            lines = [line[1:] for line in lines]
        return "\n".join(lines) + "\n"
    least = min((indent_of(line) for line in lines if line.strip()), default=0)
    return "\n".join(line[least:] for line in lines) + "\n"


class Page:
    """The blocks of a page, and the markers that no block follows."""

    def __init__(self, path):
        self.path = path
        self.blocks = []
        self.stray = []
        self.marker = None
        with open(path, encoding="ascii") as f:
            self.lines = f.read().split("\n")
        if path.endswith(".rst"):
            self.read_rst()
        elif path.endswith(".md"):
            self.read_markdown()
        else:
            self.read_mdoc()
        self.mark(None)

    def mark(self, marker):
        if self.marker is not None:
            self.stray.append(self.marker)
        self.marker = marker

    def add(self, line, lines):
        marker, self.marker = self.marker, None
        self.blocks.append(Block(self.path, line, lines, marker))

    def indented(self, at, least):
        """The lines from at on that are indented by more; and where they end."""
        end = at
        while end < len(self.lines) and (not self.lines[end].strip() or
                                         indent_of(self.lines[end]) > least):
            end += 1
        return self.lines[at:end], end

    def read_rst(self):
        at = 0
        while at < len(self.lines):
            line = self.lines[at].rstrip()
            marker = re.match(r"\.\. doc-block: *(.*)", line)
            code = re.match(r" *\.\. (code-block|code|parsed-literal)::", line)
            at += 1
            if marker:
                more, at = self.indented(at, 0)
                self.mark(" ".join([marker[1]] + [m.strip() for m in more if m.strip()]))
            elif code or line.endswith("::") and not re.match(r" *\.\. ", line):
                lines, end = self.indented(at, indent_of(line))
                first = next((i for i, l in enumerate(lines) if l.strip()), 0)
                self.add(at + first + 1, lines[first:])
                at = end

    def read_mdoc(self):
        start = None
        for number, line in enumerate(self.lines, 1):
            marker = re.match(r'\.\\" doc-block: *(.*)', line)
            text = line.replace("\\e", "\\").replace("\\-", "-").replace("\\&", "")
            if marker:
                self.mark(marker[1])
            elif re.match(r"\.Bd -literal", line):
                start, lines = number + 1, []
            elif line == ".Ed" and start:
                self.add(start, lines)
                start = None
            elif start:
                lines.append(text)
            elif line.startswith(".Dl "):
                self.add(number, [text[4:]])

    def read_markdown(self):
        at = 0
        while at < len(self.lines):
            line = self.lines[at]
            marker = re.match(r"<!-- doc-block: *(.*?) *-->", line)
            at += 1
            if marker:
                self.mark(marker[1])
            elif line.startswith("```"):
                end = self.lines.index("```", at)
                self.add(at + 1, self.lines[at:end])
                at = end + 1
            elif line.startswith("    ") and not self.lines[at - 2].strip():
                lines, end = self.indented(at - 1, 3)
                self.add(at, lines)
                at = end


# ---- What blocks are ----

def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def squeezed(text):
    """C without comments, and without white space that means nothing."""
    text = re.sub(r"\s+", " ", without_comments(text))
    return re.sub(r" ?([^\w ]) ?", r"\1", text).strip()


def definitions(text):
    """The structs and enums that a text is made of, or None if it has more."""
    text = squeezed(text)
    found = re.findall(r"(?:struct|enum) \w+\{.*?\};", text)
    return found if found and "".join(found) == text else None


def classify(block):
    """The kind and its arguments."""
    if block.marker is not None:
        words = shlex.split(block.marker)
        if not words or words[0] not in KINDS:
            raise Bad(f"'{block.marker}' is no kind of block")
        return words[0], words[1:]
    if re.search(r"\bint main\(", block.text):
        return "program", []
    if definitions(block.text):
        return "quote", []
    if all(line.startswith("make ") for line in block.text.splitlines() if line):
        return "make", []
    raise Bad("it is not marked as what it is")


def run(*command, **options):
    """A command's output; it must succeed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          encoding="utf-8", errors="replace", check=False, **options)
    if done.returncode:
        raise Bad(f"{shlex.join(command)} failed:\n{done.stdout}")
    return done.stdout


class Checker:
    """Tests of each kind, by its name, and what they have collected."""

    def __init__(self, tree, obj, out):
        self.tree = os.path.realpath(tree)
        self.obj = os.path.realpath(obj)
        self.out = os.path.realpath(out)
        self.cc = shlex.split(os.environ.get("CC", "gcc"))
        self.names = set()
        self.insertions = []
        self.module = {}
        self.last_program = None
        os.makedirs(self.out, exist_ok=True)

    def read(self, path):
        with open(os.path.join(self.tree, path), encoding="utf-8") as f:
            return f.read()

    def write(self, path, text):
        path = os.path.join(self.out, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        return path

    def claim(self, name):
        if name in self.names:
            raise Bad(f"there is another block '{name}'")
        self.names.add(name)

    # -- C of programs --

    def program(self, block, name=None):
        name = name or os.path.basename(block.page).rsplit(".", 1)[0].lower()
        self.claim(name)
        source = self.write(f"src/{name}.c", block.text)
        self.last_program = block.text
        self.compile_user(source, "-static", "-o", os.path.join(self.out, name))

    def compile_user(self, source, *options):
        run("gcc", "-O2", "-Wall", "-Werror", "-isystem",
            os.path.join(self.obj, "usr/include"), source, *options)

    def fragment(self, block, name):
        self.claim(name)
        source = self.write(f"src/{name}.c", FRAGMENT % block.text)
        self.compile_user(source, "-static", "-o", os.path.join(self.out, name))

    def compile(self, block, file):
        if self.last_program is None:
            raise Bad("there is no program before it")
        directory = os.path.dirname(self.write(f"compile/{file}", self.last_program))
        os.makedirs(os.path.join(directory, "build/bin"), exist_ok=True)
        os.symlink(self.obj, os.path.join(directory, "build/obj"))
        run("sh", "-ec", block.text, cwd=directory)
        if not os.listdir(os.path.join(directory, "build/bin")):
            raise Bad("nothing has come into build/bin")

    # -- What is quoted --

    def quote(self, block, file=UAPI):
        wanted = definitions(block.text) or [squeezed(block.text)]
        # A header has its constants inside of the structs that they are for.
        there = squeezed(re.sub(r"^#.*\n", "", self.read(file), flags=re.M))
        for definition in wanted:
            if definition not in there:
                raise Bad(f"{file} does not have\n{definition}")

    def words(self, block, file):
        there = self.read(file)
        for word in re.findall(r"\b[A-Z][A-Z0-9_]{3,}\b", block.text):
            if not re.search(rf"\b{word}\b", there):
                raise Bad(f"{file} does not have {word}")

    def call(self, block, file):
        declared = re.fullmatch(r"\w+ (\w+)\((.*)\);", squeezed(block.text))
        if not declared:
            raise Bad("it is no prototype")
        there = re.search(rf"\bsys_{declared[1]}\((.*?)\);", squeezed(self.read(file)))
        if not there:
            raise Bad(f"{file} does not declare {declared[1]}()")
        types = [[re.sub(r" ?\w+$", "", p) for p in d.split(",")]
                 for d in (declared[2], there[1])]
        if types[0] != types[1]:
            raise Bad(f"{file} has it with {', '.join(types[1])}")

    # -- The example of a source --

    def into(self, block, file, place, line):
        if place not in ("instead", "before"):
            raise Bad(f"'{place}' is no place")
        self.insertions.append((file, place, line, block.text))

    def module_file(self, block, name):
        if name in self.module:
            raise Bad(f"there is another {name}")
        self.module[name] = block.text

    def write_module(self):
        """Its files, and the headers as they are with what it adds."""
        headers = {}
        for file, place, wanted, text in self.insertions:
            lines = headers.get(file) or self.read(file).splitlines(keepends=True)
            at = [i for i, line in enumerate(lines) if wanted in line]
            if len(at) != 1:
                raise Bad(f"{file} has not one line with {wanted!r}, but {len(at)}")
            lines[at[0]:at[0] + (place == "instead")] = [text]
            headers[file] = lines
        for file, lines in headers.items():
            self.write(f"module/{file}", "".join(lines))
        objects = []
        for name, text in self.module.items():
            self.write(f"module/{name}", text)
            if name.endswith(".c"):
                objects.append(name[:-2] + ".o")
        self.write("module/hw.h", HARDWARE)
        self.write("module/Kbuild",
                   "LINUXINCLUDE := -I$(src)/include $(LINUXINCLUDE)\n"
                   "ccflags-y := -Werror $(if $(OPTION),-D$(OPTION)=1)\n"
                   "include $(src)/Makefile\n")
        return objects

    def optional(self):
        """The option that the Makefile has, and the objects that depend on it."""
        found = re.search(r"-\$\((\w+_NOTIFICATIONS)\) \+= (.*)",
                          self.module.get("Makefile", ""))
        if not found:
            raise Bad("the Makefile has no option with notifications")
        return found[1], found[2].split()

    def compile_module(self, *words, with_option=True):
        """What gcc or sparse warn of is a failure."""
        objects = self.write_module()
        option, optional = self.optional()
        if not with_option:
            option = ""
            objects = [name for name in objects if name not in optional]
        directory = os.path.join(self.out, "module")
        for name in glob.glob(os.path.join(directory, "*.o")):
            os.remove(name)
        said = run("make", "-s", "-C", self.tree, f"O={self.obj}", f"M={directory}",
                   f"CC={' '.join(self.cc)}", f"OPTION={option}", *words, *objects)
        if re.search(r"\.[ch]:\d+:\d+: (warning|error):", said):
            raise Bad(said)
        for name in objects:
            if not os.path.exists(os.path.join(directory, name)):
                raise Bad(f"make has not made {name}\n{said}")

    def test_module(self):
        """The tests of the whole, by their names."""
        return {
            "compiles with its option": lambda: self.compile_module("W=1"),
            "compiles without": lambda: self.compile_module(with_option=False),
            "is nothing that sparse minds": lambda: self.compile_module("C=2"),
        }

    def kconfig(self, block, *symbols):
        name = re.match(r"config (\w+)", block.text)
        if not name:
            raise Bad("it is no option")
        self.write("kconfig/Kconfig", "".join(f'config {s}\n\tdef_bool y\n\n'
                                              for s in symbols) + block.text)
        env = dict(os.environ, srctree=".", KCONFIG_CONFIG=".config")
        directory = os.path.join(self.out, "kconfig")
        said = run(os.path.join(self.obj, "scripts/kconfig/conf"), "-s", "--allyesconfig",
                   "Kconfig", cwd=directory, env=env)
        with open(os.path.join(directory, ".config"), encoding="ascii") as f:
            if said or f"CONFIG_{name[1]}=y\n" not in f.read():
                raise Bad(f"it cannot be had\n{said}")

    def config(self, block):
        with open(os.path.join(self.obj, "include/config/auto.conf"),
                  encoding="ascii") as f:
            there = f.read().splitlines()
        for line in block.text.splitlines():
            if line not in there:
                raise Bad(f"the kernel does not have {line}")

    # -- Commands --

    def make(self, block):
        directory = os.path.dirname(os.path.realpath(block.page))
        if directory.startswith(self.tree):
            directory = self.tree
        for line in block.text.splitlines():
            words = shlex.split(line)
            if words[-1:] == ["install"]:
                self.install(words, directory)
            elif words:
                run(*words, "-n", cwd=directory)

    def install(self, words, directory):
        place = {name: os.path.join(self.out, "install", name) for name in ("O", "DESTDIR")}
        for path in place.values():
            os.makedirs(path, exist_ok=True)
        run(*words, *(f"{name}={path}" for name, path in place.items()), cwd=directory)
        if not any(files for _, _, files in os.walk(place["DESTDIR"])):
            raise Bad("nothing has been installed")

    def shell(self, block, name):
        self.claim(name)
        self.check_syntax(block)
        self.write(f"{name}.sh", block.text)

    def check_syntax(self, block):
        run("sh", "-n", self.write("src/syntax.sh", block.text))
        for command in simple_commands(block.text):
            if command[:1] == ["wqmon"]:
                self.check_options(command[1:])
            if command[:1] == ["jq"]:
                self.check_members(command[1:])

    def check_members(self, words):
        """What jq asks of wqmon's objects, they have."""
        schema = self.read("tools/watch_queue/wqmon.schema.json")
        for name in re.findall(r"(?<!\w)\.([a-z_]+)", " ".join(words)):
            if f'"{name}"' not in schema:
                raise Bad(f"wqmon's objects have no {name}")

    def shipped(self, block, name):
        lines = self.read(f"{SHIPPING}/{name}").splitlines(keepends=True)
        while lines and lines[0].startswith("#"):
            del lines[0]
        if block.text != "".join(lines):
            raise Bad(f"it is not {SHIPPING}/{name} without its first comment")
        if name.endswith(".sh"):
            self.check_syntax(block)
        for line in lines:
            if "/wqmon " in line:
                self.check_options(re.findall(r"(?<!\w)--?[a-z][a-z-]*", line))

    def check_options(self, words):
        """Of wqmon: those that are not there would be a usage error."""
        source = self.read("tools/watch_queue/options.c")
        letters = re.search(r'short_options\[\] = "(.*)"', source)[1].replace(":", "")
        for word in words:
            if word.startswith("--"):
                there = f'{{ "{word[2:].split("=")[0]}",' in source
            else:
                there = not re.match(r"-[a-zA-Z]", word) or set(word[1:]) <= set(letters)
            if not there:
                raise Bad(f"wqmon has no {word}")

    # -- Others --

    def rule(self, block, file):
        text = self.read(file)
        there = strings_of(text) if file.endswith(".c") else \
            [line.strip() for line in without_comments(text).splitlines()]
        for line in block.text.splitlines():
            if line not in there:
                raise Bad(f"{file} does not have {line}")

    def output(self, block, *words):
        words = list(words)
        given = set()
        if "--" in words:
            given = set(words[words.index("--") + 1:])
            words = words[:words.index("--")]
        texts = [os.strerror(e) for e in range(1, 134)]
        formats = []
        for file in words:
            if file.endswith(".c"):
                for string in strings_of(self.read(file)):
                    (formats if "%" in string else texts).append(string)
            else:
                texts.append(self.read(file))
        fitting = [f for f in formats if fits(f, block.text)]
        for text in texts + fitting:
            given |= words_of(re.sub(CONVERSION, " ", text))
        missing = words_of(block.text) - given
        if missing:
            raise Bad(f"no string of {', '.join(words)} that fits has "
                      f"{', '.join(sorted(missing))}")
        if not any(len(words_of(re.sub(CONVERSION, " ", f))) > 1 for f in fitting):
            raise Bad(f"no format of {', '.join(words)} fits")


def simple_commands(text):
    """The words of each command in a text of the shell."""
    words = shlex.shlex(text, posix=True, punctuation_chars="\n;|&()")
    words.whitespace = " \t"
    words.whitespace_split = True
    commands = [[]]
    for word in words:
        if set(word) <= set("\n;|&()") or word in ("do", "then", "else", "!"):
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


def words_of(text):
    """What has no digit in it: those are values."""
    return {w for w in re.findall(r"[^\s\"'(){}\[\]:;,<>=/]+", text)
            if re.search(r"[A-Za-z]", w) and not re.search(r"\d", w)}


CONVERSION = r"%[-#.\d*hlz]*[a-zA-Z]"


def strings_of(source):
    """The strings in C."""
    source = re.sub(r'"\s*"', "", without_comments(source))
    return [string.encode("ascii").decode("unicode_escape") for string in
            re.findall(r'"((?:[^"\\\n]|\\.)*)"', source)]


def fits(form, text):
    """Whether a format's own text is somewhere in a text."""
    pattern = ".*?".join(r"\s+".join(map(re.escape, re.split(r"\s+", fixed)))
                         for fixed in re.split(CONVERSION, form.strip()))
    return re.search(pattern, text, re.S) is not None


KINDS = {
    "program": Checker.program,
    "quote": Checker.quote,
    "compile": Checker.compile,
    "make": Checker.make,
    "call": Checker.call,
    "words": Checker.words,
    "fragment": Checker.fragment,
    "module": Checker.module_file,
    "into": Checker.into,
    "kconfig": Checker.kconfig,
    "config": Checker.config,
    "shell": Checker.shell,
    "shipped": Checker.shipped,
    "rule": Checker.rule,
    "output": Checker.output,
}


# ---- Telling ----

class Tap:
    """Lines of TAP, and whether all were good."""

    def __init__(self):
        self.number = 0
        self.good = True
        print("TAP version 13")

    def test(self, name, function, *arguments):
        self.number += 1
        try:
            function(*arguments)
        except (Bad, OSError, TypeError, ValueError) as e:
            self.good = False
            print(f"not ok {self.number} - {name}")
            for line in str(e).splitlines():
                print(f"# {line}")
        else:
            print(f"ok {self.number} - {name}")

    def finish(self):
        print(f"1..{self.number}")
        return 0 if self.good else 1


def test_block(checker, block):
    kind, arguments = classify(block)
    KINDS[kind](checker, block, *arguments)


def title(block):
    """What the block is called in its line of TAP."""
    try:
        kind, arguments = classify(block)
        return f"{block}: {' '.join([kind] + arguments[:1])}"
    except (Bad, ValueError):
        return f"{block}"


def test_page(tap, checker, path):
    page = Page(path)
    for block in page.blocks:
        tap.test(title(block), test_block, checker, block)
    if page.stray:
        def fail():
            raise Bad("\n".join(page.stray))
        tap.test(f"{path}: a block follows each marker", fail)


def main():
    if len(sys.argv) < 4:
        print("usage: doc_blocks.py KSRC OBJ OUT [PAGE...]", file=sys.stderr)
        return 2
    checker = Checker(*sys.argv[1:4])
    tap = Tap()
    pages = [os.path.join(checker.tree, page) for page in PAGES]
    pages += sorted(glob.glob(os.path.join(checker.tree, MAN_PAGES)))
    for path in pages + sys.argv[4:]:
        test_page(tap, checker, path)
    for name, test in checker.test_module().items():
        tap.test(f"the example of a source {name}", test)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
