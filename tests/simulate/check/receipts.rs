//! Receipts (H-07): whatever happens, each site has the other's signature for all that went there.

use casebridge::case::Alias;
use casebridge::case::evidence::Way;

use crate::store::evidence::Chain;

/// Nobody signed for what did not happen, or with another history than before.
pub fn sound(chain: &Chain, alias: &Alias) {
    assert!(chain.wrong.is_empty(), "receipts at {alias}: {:?}", chain.wrong);
    assert!(chain.keys.iter().filter(|one| one.peer.is_none()).count() <= 1, "{alias} has one key");
}

/// Everything that went to a peer is signed for.
pub fn complete(chain: &Chain, alias: &Alias) {
    for line in chain.lines.iter().filter(|line| line.way == Way::Out) {
        let (peer, seq, exchange) = (&line.peer, line.seq, line.exchange);
        assert!(line.proved, "{peer} has not signed for operation {seq} of {exchange} of {alias}");
    }
}
