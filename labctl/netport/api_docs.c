/* SPDX-License-Identifier: MIT */
/* api_docs.c - the page of /docs, docs.html, as it is. */
#include "netport/api.h"

#include "base/banned.h"

__asm__(".section .rodata\n"
	".global docs_page\n"
	".global docs_page_len\n"
	"docs_page:\n"
	".incbin \"labctl/netport/docs.html\"\n"
	"docs_page_end:\n"
	".byte 0\n"
	".balign 4\n"
	"docs_page_len:\n"
	".long docs_page_end - docs_page\n"
	".previous\n");
