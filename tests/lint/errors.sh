#!/bin/bash
# SPDX-License-Identifier: MIT
# `struct err *err` is never NULL: a caller that does not care passes ERR_IGNORED.
. "$(dirname "$0")/tap.sh"

no_null_error() { /usr/bin/python3 tests/lint/null_err.py; }

check 'nobody passes NULL as struct err *' no_null_error
done_testing
