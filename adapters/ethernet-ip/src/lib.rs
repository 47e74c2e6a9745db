//! EtherNet/IP with CIP: tags, arrays and structures of Logix controllers, tag discovery.
