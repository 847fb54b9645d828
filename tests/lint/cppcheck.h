/* SPDX-License-Identifier: MIT */
/* cppcheck.h - the libraries' loops, in words that cppcheck understands. Never compiled. */
#ifndef LABCTL_TESTS_LINT_CPPCHECK_H
#define LABCTL_TESTS_LINT_CPPCHECK_H

#define mnl_attr_for_each(a, n, o)     for (a = first(n, o); a; a = next(a))
#define mnl_attr_for_each_nested(a, n) for (a = first(n, 0); a; a = next(a))
#define json_array_foreach(a, i, v)    for (i = 0, v = at(a, i); v; v = at(a, ++i))
#define json_object_foreach(o, k, v)                                                               \
	for (k = first(o, 0), v = at(o, k); k; k = next(k), v = at(o, k))

#endif
