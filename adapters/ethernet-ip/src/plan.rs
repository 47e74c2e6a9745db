//! Which points are read with which request: packets as full as the limits of the link allow.

/// What one request and its reply may be, in bytes of the CIP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Of a request.
    pub(crate) request: usize,
    /// Of a reply.
    pub(crate) reply: usize,
    /// How many requests a packet may have; 1 where the controller takes no packets of several.
    pub(crate) items: usize,
}

/// What one point needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Which.
    pub(crate) point: usize,
    /// Bytes of its request.
    pub(crate) request: usize,
    /// Bytes that its reply will have, as far as is known.
    pub(crate) reply: usize,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Batch {
    /// Several points in a packet.
    Packet(Vec<usize>),
    /// One point by a request of its own.
    Single(usize),
    /// One point in pieces.
    Pieces(usize),
    /// One point's structure has to be described first.
    Describe(usize),
}

/// Header of a packet of requests: service, path of the message router, number of requests.
pub(crate) const PACKET_REQUEST: usize = 2 + 4 + 2;
/// Header of a packet of replies: service, status, number of replies.
pub(crate) const PACKET_REPLY: usize = 4 + 2;
/// The offset of each.
pub(crate) const OFFSET: usize = 2;

/// Packs the points in their order.
pub(crate) fn plan(items: &[Item], limits: Limits) -> Vec<Batch> {
    let mut batches = Vec::new();
    let (mut packet, mut request, mut reply) = (Vec::new(), PACKET_REQUEST, PACKET_REPLY);
    for item in items {
        if item.reply > limits.reply {
            batches.push(Batch::Pieces(item.point));
            continue;
        }
        let alone = PACKET_REQUEST + OFFSET + item.request > limits.request
            || PACKET_REPLY + OFFSET + item.reply > limits.reply;
        if alone || limits.items < 2 {
            batches.push(Batch::Single(item.point));
            continue;
        }
        let full = request + OFFSET + item.request > limits.request
            || reply + OFFSET + item.reply > limits.reply
            || packet.len() >= limits.items;
        if full {
            close(&mut batches, &mut packet);
            (request, reply) = (PACKET_REQUEST, PACKET_REPLY);
        }
        packet.push(item.point);
        request += OFFSET + item.request;
        reply += OFFSET + item.reply;
    }
    close(&mut batches, &mut packet);
    batches
}

fn close(batches: &mut Vec<Batch>, packet: &mut Vec<usize>) {
    match packet[..] {
        [] => {}
        [point] => batches.push(Batch::Single(point)),
        _ => batches.push(Batch::Packet(packet.clone())),
    }
    packet.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_that_is_larger_than_a_reply_is_read_in_pieces() {
        let limits = Limits { request: 480, reply: 480, items: 200 };
        let items =
            [(0, 10), (1, 1_000), (2, 478), (3, 10)].map(|(point, reply)| Item { point, request: 20, reply });
        assert_eq!(plan(&items, limits), [Batch::Pieces(1), Batch::Single(2), Batch::Packet(vec![0, 3])]);
        let one = Limits { items: 1, ..limits };
        assert_eq!(plan(&items[..1], one), [Batch::Single(0)]);
    }

    proptest::proptest! {
        #[test]
        fn no_packet_exceeds_a_limit_and_no_point_is_lost(
            sizes in proptest::collection::vec((8_usize..200, 6_usize..900), 0..400),
            large in proptest::bool::ANY,
        ) {
            let bytes = if large { 3_990 } else { 480 };
            let limits = Limits { request: bytes, reply: bytes, items: 100 };
            let item = |(point, &(request, reply))| Item { point, request, reply };
            let items: Vec<Item> = sizes.iter().enumerate().map(item).collect();
            let mut seen = Vec::new();
            for batch in plan(&items, limits) {
                match batch {
                    Batch::Packet(points) => {
                        let request = PACKET_REQUEST + points.iter().map(|&at| OFFSET + items[at].request).sum::<usize>();
                        let reply = PACKET_REPLY + points.iter().map(|&at| OFFSET + items[at].reply).sum::<usize>();
                        proptest::prop_assert!(request <= bytes && reply <= bytes && points.len() <= 100);
                        seen.extend(points);
                    }
                    Batch::Single(point) => {
                        proptest::prop_assert!(items[point].request <= bytes && items[point].reply <= bytes);
                        seen.push(point);
                    }
                    Batch::Pieces(point) => {
                        proptest::prop_assert!(items[point].reply > bytes);
                        seen.push(point);
                    }
                    Batch::Describe(_) => proptest::prop_assert!(false),
                }
            }
            seen.sort_unstable();
            proptest::prop_assert_eq!(seen, (0..items.len()).collect::<Vec<_>>());
        }
    }
}
