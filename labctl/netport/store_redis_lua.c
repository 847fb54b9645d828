/* SPDX-License-Identifier: MIT */
/* store_redis_lua.c - the operations of the book as Redis runs them. */
#include "netport/store_redis.h"

#include <assert.h>

#include "base/mem.h"

#include "base/banned.h"

/* KEYS[1] is the prefix, ARGV[1] the batch's token, "" outside of one: a batch whose lock has run
 * out must not go on. */
static const char prelude[] =
	"local P = KEYS[1]\n"
	"local t = redis.call('TIME')\n"
	"local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
	"if ARGV[1] ~= '' and redis.call('GET', P .. 'lock') ~= ARGV[1] then\n"
	"  return redis.error_reply('LOCKLOST the batch took too long')\n"
	"end\n"
	"local function field_of(l) return l.resource .. ':' .. l.value end\n"
	"local function extent_of(l) return l.lo .. ' ' .. l.hi .. ' ' .. l.value end\n"
	"local function put(l)\n"
	"  local f = field_of(l)\n"
	"  redis.call('HSET', P .. 'leases', f, cjson.encode(l))\n"
	"  redis.call('SADD', P .. 'owner:' .. l.owner, f)\n"
	"  redis.call('SADD', P .. 'uid:' .. l.uid, f)\n"
	"  if l.expires > 0 then redis.call('ZADD', P .. 'expires', l.expires, f)\n"
	"  else redis.call('ZREM', P .. 'expires', f) end\n"
	"  if l.bound > 0 then redis.call('SADD', P .. 'bound', f)\n"
	"  else redis.call('SREM', P .. 'bound', f) end\n"
	"  if l.number then redis.call('SETBIT', P .. 'bits:' .. l.resource, l.number, 1) end\n"
	"  if l.lo then redis.call('ZADD', P .. 'extent:' .. l.resource, 0, extent_of(l)) end\n"
	"end\n"
	"local function drop(f, l)\n"
	"  redis.call('HDEL', P .. 'leases', f)\n"
	"  redis.call('SREM', P .. 'owner:' .. l.owner, f)\n"
	"  redis.call('SREM', P .. 'uid:' .. l.uid, f)\n"
	"  redis.call('ZREM', P .. 'expires', f)\n"
	"  redis.call('SREM', P .. 'bound', f)\n"
	"  if l.number then redis.call('SETBIT', P .. 'bits:' .. l.resource, l.number, 0) end\n"
	"  if l.lo then redis.call('ZREM', P .. 'extent:' .. l.resource, extent_of(l)) end\n"
	"end\n"
	"local function find(f)\n"
	"  local s = redis.call('HGET', P .. 'leases', f)\n"
	"  if not s then return nil end\n"
	"  local l = cjson.decode(s)\n"
	"  if l.expires > 0 and l.expires <= now then drop(f, l) return nil end\n"
	"  return l\n"
	"end\n"
	"local function peek(f)\n"
	"  local s = redis.call('HGET', P .. 'leases', f)\n"
	"  if not s then return nil end\n"
	"  local l = cjson.decode(s)\n"
	"  if l.expires > 0 and l.expires <= now then return nil end\n"
	"  return s\n"
	"end\n"
	"local function overlap(w)\n"
	"  while true do\n"
	/* Extents never overlap each other: of those that begin at or before our end, the last
	 * one tells. */
	"    local r = redis.call('ZREVRANGEBYLEX', P .. 'extent:' .. w.resource,\n"
	"      '(' .. w.hi .. '!', '-', 'LIMIT', 0, 1)\n"
	"    if not r[1] then return nil end\n"
	"    local hi, value = string.match(r[1], '^%S+ (%S+) (.*)$')\n"
	"    if hi < w.lo then return nil end\n"
	"    local l = find(w.resource .. ':' .. value)\n"
	"    if l then return l end\n"
	"  end\n"
	"end\n"
	"local function expire(n)\n"
	"  local f = redis.call('ZRANGEBYSCORE', P .. 'expires', '-inf', now, 'LIMIT', 0, n)\n"
	"  for _, x in ipairs(f) do find(x) end\n"
	"  return #f\n"
	"end\n"
	"local function covers(l, owner, uid)\n"
	"  return (owner == '' or owner == l.owner) and (uid == '-1' or tonumber(uid) == l.uid)\n"
	"end\n";

static const char *const bodies[REDIS_SCRIPT_MAX] = {
	[REDIS_ACQUIRE] = "local w = cjson.decode(ARGV[2])\n"
			  "local ttl = tonumber(ARGV[4])\n"
			  "local l\n"
			  "if w.lo then l = overlap(w) else l = find(field_of(w)) end\n"
			  "if l then\n"
			  "  if ARGV[3] ~= '1' or l.owner ~= w.owner or l.uid ~= w.uid or l.value "
			  "~= w.value\n"
			  "  then return {1, cjson.encode(l)} end\n"
			  "  if ARGV[5] == '1' then return {2, ''} end\n"
			  "  w.id = l.id\n"
			  "  w.created = l.created\n"
			  "else\n"
			  "  if ARGV[5] == '1' then return {2, ''} end\n"
			  "  expire(8)\n"
			  "  w.id = redis.call('INCR', P .. 'id')\n"
			  "  w.created = now\n"
			  "end\n"
			  "if ttl > 0 then w.expires = now + ttl else w.expires = 0 end\n"
			  "put(w)\n"
			  "return {0, cjson.encode(w)}\n",
	[REDIS_RENEW] = "local l = find(ARGV[2])\n"
			"if not l then return {2, ''} end\n"
			"if not covers(l, ARGV[3], ARGV[4]) then return {1, cjson.encode(l)} end\n"
			"local ttl = tonumber(ARGV[5])\n"
			"if ttl > 0 then l.expires = now + ttl else l.expires = 0 end\n"
			"put(l)\n"
			"return {0, cjson.encode(l)}\n",
	[REDIS_RELEASE] =
		"local l = find(ARGV[2])\n"
		"if not l then return {2, ''} end\n"
		"if not covers(l, ARGV[3], ARGV[4]) then return {1, cjson.encode(l)} end\n"
		"drop(ARGV[2], l)\n"
		"return {0, cjson.encode(l)}\n",
	[REDIS_RELEASE_OWNER] =
		"local n, all = 0\n"
		"if ARGV[2] == '' then all = redis.call('HKEYS', P .. 'leases')\n"
		"else all = redis.call('SMEMBERS', P .. 'owner:' .. ARGV[2]) end\n"
		"for _, f in ipairs(all) do\n"
		"  local l = find(f)\n"
		"  if l and covers(l, ARGV[2], ARGV[3]) then drop(f, l) n = n + 1 end\n"
		"end\n"
		"return n\n",
	[REDIS_LIST] =
		"local all = {}\n"
		"if ARGV[2] ~= '' then\n"
		"  all[1] = peek(ARGV[2])\n"
		"  return all\n"
		"end\n"
		"local found\n"
		"if ARGV[3] ~= '' then\n"
		"  local f = redis.call('SMEMBERS', P .. 'owner:' .. ARGV[3])\n"
		"  found = {}\n"
		"  for i, x in ipairs(f) do found[i] = redis.call('HGET', P .. 'leases', x) end\n"
		"else\n"
		"  found = redis.call('HVALS', P .. 'leases')\n"
		"end\n"
		"local gone = {}\n"
		"for _, x in ipairs(redis.call('ZRANGEBYSCORE', P .. 'expires', '-inf', now)) do\n"
		"  gone[x] = true\n"
		"end\n"
		"if next(gone) == nil then return found end\n"
		"for _, s in ipairs(found) do\n"
		"  if not gone[field_of(cjson.decode(s))] then all[#all + 1] = s end\n"
		"end\n"
		"return all\n",
	[REDIS_COUNT] = "return redis.call('SCARD', P .. ARGV[2])\n",
	[REDIS_BOUND] = "local all = {}\n"
			"for _, f in ipairs(redis.call('SMEMBERS', P .. 'bound')) do\n"
			"  all[#all + 1] = peek(f)\n"
			"end\n"
			"return all\n",
	[REDIS_DROP] = "local l = find(ARGV[2])\n"
		       "if not l or l.id ~= tonumber(ARGV[3]) then return 0 end\n"
		       "drop(ARGV[2], l)\n"
		       "return 1\n",
	[REDIS_SWEEP] = "return expire(1000)\n",
	[REDIS_GAP] = "while expire(1000) == 1000 do end\n"
		      "local key, from, to = P .. 'bits:' .. ARGV[2], tonumber(ARGV[3]), "
		      "tonumber(ARGV[4])\n"
		      "while from <= to and from % 8 ~= 0 do\n"
		      "  if redis.call('GETBIT', key, from) == 0 then return from end\n"
		      "  from = from + 1\n"
		      "end\n"
		      "if from > to then return -1 end\n"
		      /* Behind the last byte that the server keeps all are free. */
		      "local kept = redis.call('STRLEN', key) * 8\n"
		      "if from >= kept then return from end\n"
		      "local n = redis.call('BITPOS', key, 0, from / 8, math.floor(to / 8))\n"
		      "if n < 0 and kept <= to then n = kept end\n"
		      "if n < 0 or n > to then return -1 end\n"
		      "return n\n",
	[REDIS_GET] = "return redis.call('HGET', P .. 'settings', ARGV[2])\n",
	[REDIS_SET] = "if ARGV[4] == '1' then redis.call('HSET', P .. 'settings', ARGV[2], "
		      "ARGV[3])\n"
		      "else redis.call('HDEL', P .. 'settings', ARGV[2]) end\n"
		      "return 0\n",
	[REDIS_UNLOCK] = "redis.call('DEL', P .. 'lock')\n"
			 "return 0\n",
	[REDIS_CHECK] = "local n = {expires = 0, bound = 0}\n"
			"local all = redis.call('HGETALL', P .. 'leases')\n"
			"for i = 1, #all, 2 do\n"
			"  local f, l = all[i], cjson.decode(all[i + 1])\n"
			"  if field_of(l) ~= f then return f .. ' has another lease' end\n"
			"  if redis.call('SISMEMBER', P .. 'owner:' .. l.owner, f) == 0 then\n"
			"    return f .. ' is not among those of its owner' end\n"
			"  if l.number and redis.call('GETBIT', P .. 'bits:' .. l.resource, "
			"l.number) == 0\n"
			"  then return f .. ' is not marked as taken' end\n"
			"  if l.lo and not redis.call('ZSCORE', P .. 'extent:' .. l.resource, "
			"extent_of(l))\n"
			"  then return f .. ' has no extent' end\n"
			"  if l.expires > 0 then n.expires = n.expires + 1 end\n"
			"  if l.bound > 0 then n.bound = n.bound + 1 end\n"
			"end\n"
			"if redis.call('ZCARD', P .. 'expires') ~= n.expires then\n"
			"  return 'the index of expiries does not fit' end\n"
			"if redis.call('SCARD', P .. 'bound') ~= n.bound then\n"
			"  return 'the index of bound leases does not fit' end\n"
			"return 'ok'\n",
};

char *redis_script_text(enum redis_script which)
{
	static_assert(ARRAY_SIZE(bodies) == REDIS_SCRIPT_MAX, "a script lacks its text");

	return xasprintf("%s%s", prelude, bodies[which]);
}
