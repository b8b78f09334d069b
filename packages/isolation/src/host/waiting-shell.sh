#!/bin/sh
# A shell that waits for one script, in namespaces of its own.
set -e
. "${0%/*}/take-order.sh"
. "$script"
