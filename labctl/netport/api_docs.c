/* SPDX-License-Identifier: MIT */
/* api_docs.c - the page of /docs, docs.html, as it is. */
#include "netport/api.h"

#include "base/banned.h"

__asm__(".section .rodata\n"
	".global docs_page\n"
	".global docs_page_end\n"
	"docs_page:\n"
	".incbin \"labctl/netport/docs.html\"\n"
	"docs_page_end:\n"
	".byte 0\n"
	".previous\n");

extern const char docs_page_end[];

size_t docs_page_size(void)
{
	return (size_t)(docs_page_end - docs_page);
}
