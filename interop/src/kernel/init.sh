#!/bin/sh
# Process 1 of the guest. Its root is the host's, read-only; what must be writable is a tmpfs.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /run
stty -echo -icanon min 1 2>/dev/null
# The modules do not stand where modprobe looks; the kernel's own autoloading gets a wrapper that knows better.
mkdir -p /run/mod/lib/modules
ln -s "/usr/lib/uml/modules/$(uname -r)" "/run/mod/lib/modules/$(uname -r)"
printf '#!/bin/sh\nexec modprobe -d /run/mod "$@"\n' >/run/modprobe
chmod +x /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
/run/modprobe -a xfrm_user esp4 esp6 ah4 ah6 xfrm4_tunnel xfrm6_tunnel ipcomp ipcomp6 xfrm_ipcomp seqiv echainiv \
  authenc authencesn gcm ccm ctr cbc sha512_generic chacha20poly1305 chacha_generic poly1305_generic cmac xcbc \
  crypto_null des_generic camellia_generic hmac md5
ip link set lo up
for interface in all default vec0; do echo 0 >/proc/sys/net/ipv4/conf/$interface/rp_filter; done
echo 0 >/proc/sys/net/ipv6/conf/vec0/accept_dad
echo 0 >/proc/sys/net/ipv6/conf/vec0/router_solicitations
ip link set vec0 address 02:00:00:00:00:02 mtu 1500 up
# Nobody answers ARP or neighbour discovery: the other end is a test.
ip -batch - <<'END'
address add 10.9.0.2/24 dev vec0
address add fd09::2/64 dev vec0 nodad
address add 192.168.2.1/32 dev lo
address add fd02::1/128 dev lo nodad
route add default via 10.9.0.1
route add 192.168.1.0/24 via 10.9.0.1 src 192.168.2.1
route add fd01::/64 via fd09::1 src fd02::1
neighbour replace 10.9.0.1 lladdr 02:00:00:00:00:01 dev vec0 nud permanent
neighbour replace fd09::1 lladdr 02:00:00:00:00:01 dev vec0 nud permanent
END
echo "@@READY $(uname -r)"
# Lines make up a command until @@RUN; its output ends with a line of its own that has the exit status.
command=
while IFS= read -r line; do
  case "$line" in
  @@HALT) break ;;
  @@RUN)
    (eval "$command") 2>&1 </dev/null
    echo "@@DONE $?"
    command=
    ;;
  *) command="$command
$line" ;;
  esac
done
echo o >/proc/sysrq-trigger
sleep 5
