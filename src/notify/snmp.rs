//! SNMP traps of version 2c (RFC 3416): one datagram, which nobody confirms.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::net::UdpSocket;

use super::Undelivered;

/// The longest text in a trap, in bytes: all of them together fit into one packet of any network.
const TEXT: usize = 128;
/// For the name of the receiver.
const LOOK_WITHIN: Duration = Duration::from_secs(10);

/// A trap: its number under the node, and the texts that go with it, each with its own number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap<'a> {
    /// Told again in a repeat.
    pub request: i32,
    /// How long the daemon has been up, in hundredths of a second.
    pub uptime: u32,
    pub number: u32,
    pub texts: Vec<(u32, &'a str)>,
}

/// Sends a trap to a host and port.
pub async fn send(address: &str, community: &SecretString, node: &[u32], trap: &Trap<'_>) -> Result<(), Undelivered> {
    let packet = packet(community.expose_secret(), node, trap);
    let unsent = |fault: std::io::Error| Undelivered::now(format!("the trap is not sent: {fault}"));
    let looked = tokio::time::timeout(LOOK_WITHIN, tokio::net::lookup_host(address)).await;
    let late =
        |_| Undelivered::now(format!("the name of the receiver was not looked up within {} s", LOOK_WITHIN.as_secs()));
    let found = looked.map_err(late)?.map_err(unsent)?.next();
    let to = found.ok_or_else(|| Undelivered::now("the name of the receiver stands for no address"))?;
    let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(from).await.map_err(unsent)?;
    socket.send_to(&packet, to).await.map_err(unsent)?;
    Ok(())
}

/// The node of the traps, `.0` and the number; the values at `.1` and their number.
fn packet(community: &str, node: &[u32], trap: &Trap<'_>) -> Vec<u8> {
    const UPTIME: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 3, 0];
    const TRAP: [u32; 11] = [1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0];
    let under = |numbers: &[u32]| [node, numbers].concat();
    let mut values = vec![
        value(&UPTIME, tagged(0x43, &integer(i64::from(trap.uptime)))),
        value(&TRAP, oid(&under(&[0, trap.number]))),
    ];
    for (number, text) in &trap.texts {
        let text = text.get(..text.floor_char_boundary(TEXT)).unwrap_or_default();
        values.push(value(&under(&[1, *number]), tagged(0x04, text.as_bytes())));
    }
    let zero = tagged(0x02, &integer(0));
    let request = tagged(0x02, &integer(i64::from(trap.request)));
    let pdu = tagged(0xa7, &[request, zero.clone(), zero, tagged(0x30, &values.concat())].concat());
    tagged(0x30, &[tagged(0x02, &integer(1)), tagged(0x04, community.as_bytes()), pdu].concat())
}

fn value(name: &[u32], value: Vec<u8>) -> Vec<u8> {
    tagged(0x30, &[oid(name), value].concat())
}

/// Tag, length and content (X.690).
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match content.len() {
        short @ 0..=127 => bytes.push(short as u8),
        long => {
            let length: Vec<u8> = long.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            bytes.push(0x80 | length.len() as u8);
            bytes.extend(length);
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

/// The shortest form in two's complement.
fn integer(number: i64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let sign = if number < 0 { 0xff } else { 0 };
    let is_needless =
        |pair: &[u8]| pair.first() == Some(&sign) && pair.get(1).is_some_and(|next| next >> 7 == sign >> 7);
    let skip = bytes.windows(2).take_while(|pair| is_needless(pair)).count();
    bytes.into_iter().skip(skip).collect()
}

fn oid(numbers: &[u32]) -> Vec<u8> {
    let mut content = Vec::new();
    let (first, rest) = match numbers {
        [first, second, rest @ ..] => (first * 40 + second, rest),
        _ => (0, numbers),
    };
    for number in std::iter::once(&first).chain(rest) {
        let groups = (0..5).rev().map(|group| (number >> (7 * group)) as u8 & 0x7f);
        let mut groups: Vec<u8> = groups.skip_while(|group| *group == 0).collect();
        if groups.is_empty() {
            groups.push(0);
        }
        let last = groups.len() - 1;
        content.extend(groups.iter().enumerate().map(|(at, group)| if at < last { group | 0x80 } else { *group }));
    }
    tagged(0x06, &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_identifiers_have_their_shortest_form() {
        assert_eq!([integer(0), integer(127), integer(-1)], [vec![0], vec![127], vec![255]]);
        assert_eq!([integer(128), integer(256), integer(-129)], [vec![0, 128], vec![1, 0], vec![255, 127]]);
        assert_eq!(integer(i64::from(u32::MAX)), [0, 255, 255, 255, 255]);
        assert_eq!(oid(&[1, 3, 6, 1, 4, 1, 8072]), [6, 7, 0x2b, 6, 1, 4, 1, 0xbf, 0x08]);
        assert_eq!(oid(&[1, 3, u32::MAX, 0]), [6, 7, 0x2b, 0x8f, 0xff, 0xff, 0xff, 0x7f, 0]);
    }

    #[test]
    fn a_long_content_has_a_long_length() {
        assert_eq!(tagged(4, &[7; 200])[..4], [4, 0x81, 200, 7]);
        assert_eq!(tagged(4, &[7; 300])[..5], [4, 0x82, 1, 44, 7]);
    }

    #[test]
    fn a_trap_fits_into_one_packet_whatever_it_tells() {
        let long = "é".repeat(4000);
        let texts = (1..=10).map(|number| (number, long.as_str())).collect();
        let trap = Trap { request: i32::MAX, uptime: u32::MAX, number: 5, texts };
        let packet = packet(&"c".repeat(64), &[1, 3, 6, 1, 4, 1, 8072, 9999, 9999], &trap);
        assert!(packet.len() < 1800 && packet[0] == 0x30, "{}", packet.len());
    }
}
