/* SPDX-License-Identifier: MIT */
/* banned.h - functions that have no safe use here do not compile. */
#ifndef LABCTL_BASE_BANNED_H
#define LABCTL_BASE_BANNED_H

#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* macros in some libcs */
#undef alloca
#undef sprintf
#undef vsprintf
#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strncat strtok atoi atol atoll gets      \
	alloca access

#endif
