#!/bin/sh
# `gslb` in the image. The interpreter that brings the capability for ports below 1024 can be executed
# only where the container may have it (--cap-add NET_BIND_SERVICE, or Docker's default set); elsewhere
# the kernel would refuse with "operation not permitted", although a higher port, or a network namespace in
# which port 53 is nobody's, needs no capability. So look, then become the server: it is process 1.
# A signal that process 1 does not ask for is thrown away, one that it blocks waits: gslb unblocks it.
trap 'exit 143' TERM
bounding=0
while read -r key value; do
    if [ "$key" = CapBnd: ]; then bounding=$value; fi
done < /proc/self/status
python=python3
if [ $((0x$bounding >> 10 & 1)) = 1 ]; then python=python3-port53; fi # CAP_NET_BIND_SERVICE is 10
exec env --block-signal=TERM "/opt/gslb/bin/$python" -P -m gslb "$@"
