/* SPDX-License-Identifier: MIT */
/* hint.c - the table of hints, and the closer look. */
#include "grade/hint.h"

#include "base/banned.h"

/* Of checks on any field: the voice is that of the checks' own hints. */
static const char *const hints[F_MAX] = {
	[F_ETH_DST] =
		"The destination MAC is the next hop's, from your ARP table for the outgoing "
		"network. Do not leave the one that the frame came with, and do not broadcast.",
	[F_ETH_SRC] = "Whatever you send has the MAC of your own interface on that network as its "
		      "source, also what you only pass on.",
	[F_ETH_TYPE] = "The EtherType is two bytes, most significant first: 0x0800 IPv4, 0x0806 "
		       "ARP. Is it in network byte order?",
	[F_ARP_HTYPE] = "The hardware type is 1 (Ethernet), two bytes in network byte order.",
	[F_ARP_PTYPE] = "The protocol type is 0x0800 (IPv4), two bytes in network byte order.",
	[F_ARP_HLEN] = "The hardware length is 6, the length of a MAC.",
	[F_ARP_PLEN] = "The protocol length is 4, the length of an IPv4 address.",
	[F_ARP_OP] = "The opcode is 1 in a request and 2 in a reply, two bytes in network byte "
		     "order. Is the reply a copy of the request whose opcode stayed?",
	[F_ARP_SHA] = "Sender means who sends this frame: you. Its hardware address is your MAC on "
		      "this network. Are sender and target swapped?",
	[F_ARP_SPA] = "Sender means who sends this frame: you. Its protocol address is your own IP "
		      "on this network. Are sender and target swapped?",
	[F_ARP_THA] = "In a reply the target is who asked: its hardware address is the request's "
		      "sender hardware address.",
	[F_ARP_TPA] = "In a reply the target is who asked: its protocol address is the request's "
		      "sender protocol address. In a request it is the address that you look for.",
	[F_IPV4_IHL] =
		"The header length counts 32-bit words: 5 without options. A forwarded header "
		"keeps its options, and so its length.",
	[F_IPV4_TOS] =
		"Copy the TOS byte as it is: a router that forwards has no reason to change it.",
	[F_IPV4_LENGTH] = "The total length is header plus data in bytes, in network byte order, "
			  "without the Ethernet header and without padding behind the datagram.",
	[F_IPV4_ID] =
		"The identification belongs to the datagram: forward it as it is, the same in "
		"all fragments.",
	[F_IPV4_FLAGS] = "The flags are the upper three bits of the 16 that they share with the "
			 "fragment offset: do not build them anew when you forward.",
	[F_IPV4_OFFSET] =
		"The fragment offset counts units of 8 bytes, in the lower 13 bits of the "
		"16 that it shares with the flags.",
	[F_IPV4_TTL] = "What you forward has the TTL it came with minus one, counted down exactly "
		       "once. What you send yourself begins with a TTL of its own, such as 64.",
	[F_IPV4_CHECKSUM] = "The header checksum covers the header alone (IHL * 4 bytes, options "
			    "included, no payload), with its own two bytes taken as 0. Compute it "
			    "last, after every other change, and add carries back in.",
	[F_IPV4_SRC] = "A forwarded datagram keeps its source address. What you send yourself has "
		       "your own address on the network that the packet came from.",
	[F_IPV4_DST] = "A forwarded datagram keeps its destination address: only the frame is "
		       "addressed to the next hop. An answer goes to the source of the question.",
	[F_IPV4_OPTIONS] = "The options are the bytes between the 20th and IHL * 4: forward them, "
			   "and look for the payload only behind them.",
	[F_ICMP_CHECKSUM] = "The ICMP checksum covers the ICMP header and all data to the "
			    "datagram's end (not the IP header), with its own two bytes taken as "
			    "0. With an odd number of bytes a zero byte is added for the sum.",
	[F_ICMP_ID] = "An echo reply returns identifier and sequence number exactly as they came.",
	[F_ICMP_SEQ] =
		"The second word of the ICMP header: in an echo reply exactly as it came, in "
		"errors 0, or the MTU of the next link in 'fragmentation needed'.",
	[F_UDP_CHECKSUM] = "You forward a datagram: leave what is behind the IP header alone.",
	[F_TCP_CHECKSUM] = "You forward a datagram: leave what is behind the IP header alone.",
	[F_PAYLOAD] = "The payload goes from IHL * 4 to the total length, not to the end of the "
		      "frame, and is passed on byte by byte. Is something cut, or changed in a "
		      "buffer that is still in use?",
};

/* Whose MAC it should be depends on what the frame is. */
static const char *about_destination(const struct frame *seen, const struct frame *sent)
{
	if (!(seen->has & LAYER_ARP))
		return NULL;
	if (seen->arp.op == ARP_REQUEST && !(sent && sent->has & LAYER_ARP))
		return "An ARP request goes to all stations, ff:ff:ff:ff:ff:ff: you do not know "
		       "yet "
		       "whose MAC it is that you ask for.";
	return "An ARP reply goes to the asker alone: to the MAC that the request gives as its "
	       "sender's.";
}

static bool is_swapped(uint16_t seen, uint16_t right)
{
	return seen == (uint16_t)(right << 8 | right >> 8);
}

static const char *about_header_checksum(const struct frame *seen, const struct frame *sent)
{
	if (sent && sent->has & LAYER_IPV4 && seen->ipv4.checksum == sent->ipv4.checksum)
		return "It is the checksum that the packet came with. Compute it anew, last of "
		       "all: "
		       "when the TTL has changed, it has to change, too.";
	return NULL;
}

static const char *about_icmp_checksum(const struct frame *seen, const struct frame *sent)
{
	if (sent && sent->has & LAYER_ICMP && sent->icmp.type != seen->icmp.type &&
	    seen->icmp.checksum == sent->icmp.checksum)
		return "It is the request's checksum. Compute it anew, last of all: when the type "
		       "has changed, it has to change, too.";
	return NULL;
}

static const char *about_checksum(enum field f, const struct frame *seen, const struct frame *sent)
{
	bool swapped = f == F_IPV4_CHECKSUM
			       ? is_swapped(seen->ipv4.checksum, seen->ipv4.right_checksum)
			       : is_swapped(seen->icmp.checksum, seen->icmp.right_checksum);

	if (swapped)
		return "It is the right checksum with its two bytes in the wrong order: write it "
		       "in "
		       "network byte order, most significant byte first.";
	return f == F_IPV4_CHECKSUM ? about_header_checksum(seen, sent)
				    : about_icmp_checksum(seen, sent);
}

static const char *closer(enum field f, const struct frame *seen, const struct frame *sent)
{
	if (f == F_ETH_DST)
		return about_destination(seen, sent);
	if (f == F_IPV4_CHECKSUM || f == F_ICMP_CHECKSUM)
		return about_checksum(f, seen, sent);
	if (f == F_IPV4_OPTIONS && seen->has & LAYER_IPV4 && seen->ipv4.offset)
		return "The first fragment has all options, the others only those whose first bit "
		       "(0x80 of the option's type) is 1: \"copied\".";
	return NULL;
}

const char *fault_hint(enum field f, const struct frame *seen, const struct frame *sent)
{
	const char *hint = seen ? closer(f, seen, sent) : NULL;

	return hint ? hint : hints[f];
}
