//! IPv4 and IPv6 as IPsec needs them: headers, the upper layer and its ports, checksums.

crate::newtype_enum! {
    /// An IP protocol number: IPv4's Protocol, IPv6's and ESP's Next Header.
    pub struct IpProtocol(u8) {
        HOP_BY_HOP = 0 => "HOPOPT",
        ICMP = 1 => "ICMP",
        IGMP = 2 => "IGMP",
        IPV4 = 4 => "IPv4",
        TCP = 6 => "TCP",
        UDP = 17 => "UDP",
        DCCP = 33 => "DCCP",
        IPV6 = 41 => "IPv6",
        ROUTING = 43 => "IPv6-Route",
        FRAGMENT = 44 => "IPv6-Frag",
        GRE = 47 => "GRE",
        ESP = 50 => "ESP",
        AH = 51 => "AH",
        ICMPV6 = 58 => "IPv6-ICMP",
        NO_NEXT_HEADER = 59 => "IPv6-NoNxt",
        DEST_OPTS = 60 => "IPv6-Opts",
        OSPF = 89 => "OSPF",
        IPCOMP = 108 => "IPComp",
        L2TP = 115 => "L2TP",
        SCTP = 132 => "SCTP",
        MOBILITY = 135 => "Mobility",
        UDP_LITE = 136 => "UDPLite",
        HIP = 139 => "HIP",
        SHIM6 = 140 => "Shim6",
        WESP = 141 => "WESP",
        ROHC = 142 => "ROHC",
        ETHERNET = 143 => "Ethernet",
        AGGFRAG = 144 => "AGGFRAG",
        RESERVED = 255 => "Reserved",
    }
}
