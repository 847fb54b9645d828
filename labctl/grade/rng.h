/* SPDX-License-Identifier: MIT */
/* rng.h - numbers that a seed determines (splitmix64), the same on every computer. */
#ifndef LABCTL_GRADE_RNG_H
#define LABCTL_GRADE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* min..max, both included. */
static inline uint32_t rng_range(struct rng *r, uint32_t min, uint32_t max)
{
	return min + (uint32_t)(rng_next(r) % ((uint64_t)max - min + 1));
}

static inline void rng_fill(struct rng *r, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(rng_next(r) >> 32);
}

/* A stream of its own for each name: what one check draws does not depend on the others. */
static inline struct rng rng_for(uint64_t seed, const char *name)
{
	struct rng r = { seed };

	for (; *name; name++)
		r.state = (r.state ^ (uint8_t)*name) * 0x100000001b3ull;
	rng_next(&r);
	return r;
}

#endif
