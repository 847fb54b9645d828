#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stage 2, the router speaks: a router that says what went wrong, to whom, and not too often.

    labctl run -- python3 tests/routers/stage2_reference.py
"""
import time

from lib import base
from lib.packets import ICMP, OFFSET, is_host, make_icmp, make_packet

ERROR_LENGTH = 576  # at most, all in all (RFC 1812, 4.3.2.3)
TOS_ERROR = 0xC0  # precedence 6, internetwork control (RFC 1812, 4.3.2.5)
ICMP_QUERIES = {0, 8, 9, 10, 13, 14, 15, 16, 17, 18}  # every other type reports an error


class Bucket:
    """A token bucket: `rate` a second in the long run, up to `burst` at once."""

    def __init__(self, rate, burst):
        self.rate, self.burst = rate, burst
        self.tokens, self.filled = burst, time.monotonic()

    def take(self):
        now = time.monotonic()
        self.tokens = min(self.burst, self.tokens + (now - self.filled) * self.rate)
        self.filled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Router(base.Router):
    def __init__(self, lab):
        super().__init__(lab)
        self.errors = Bucket(rate=50, burst=50)

    def may_report(self, packet):
        """RFC 1812, 4.3.2.7. Broadcasts and impossible sources never come as far as this."""
        if packet.fragment & OFFSET:
            return False  # one error a packet is enough: the first fragment's
        if packet.protocol == ICMP and (not packet.payload or packet.payload[0] not in ICMP_QUERIES):
            return False  # errors about errors would never end
        return is_host(packet.source)

    def error(self, packet, kind, code, rest=bytes(4)):
        if not self.may_report(packet) or not self.errors.take():
            return
        # As it came in: the sender looks for its own packet in the quotation.
        room = min(ERROR_LENGTH, packet.interface.mtu) - 28  # it goes back where the packet came from
        message = make_icmp(kind, code, rest, packet.data[:room])
        # From the side that the sender knows: traceroute shows this address.
        self.originate(make_packet(packet.interface.address, packet.source, ICMP, message, tos=TOS_ERROR),
                       packet.source)


if __name__ == "__main__":
    base.main(Router)
