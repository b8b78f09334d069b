"""What calls on a folder do, and what they return in place of a result.

Prints an object in JSON: `checks` (how many), `differences` (a text for each), `errors` (of each call, those that it
was seen to return). Exits with 1 if something differs.
"""

import argparse
import os
import sys

import posix_calls
import posix_errors
from posix_checks import report


def pair(text):
    return tuple(map(int, text.split(",")))


parser = argparse.ArgumentParser()
parser.add_argument("folder", help="a folder, which may be missing: two folders are made in it")
parser.add_argument("--read-only", metavar="FOLDER", help="a path of the same folder where nothing can be changed")
parser.add_argument("--quota", type=pair, metavar="BYTES,INODES", help="the room of the file system, which is filled")
parser.add_argument("--longest", type=int, default=0, metavar="BYTES", help="the longest file that the server takes")
parser.add_argument("--links", action="store_true", help="makes 65,000 names of a file, which takes half a minute")
for without in ("devices", "sockets", "xattrs", "fallocate", "exchange"):
    parser.add_argument(f"--no-{without}", dest=without, action="store_false", help="the system refuses them")
options = parser.parse_args()

folder = os.path.abspath(options.folder)
if options.read_only is not None:
    options.read_only = os.path.join(os.path.abspath(options.read_only), "errors")
os.umask(0o022)
os.makedirs(folder, exist_ok=True)
os.chmod(folder, 0o755)
for name, suite in (("calls", posix_calls), ("errors", posix_errors)):
    os.mkdir(os.path.join(folder, name))
    os.chdir(os.path.join(folder, name))
    suite.run(options)
text = report()
print(text)
sys.exit(0 if '"differences": []' in text else 1)
