//! Comments: written once, edited by their own author only, never lost.

use casebridge::case::{Comment, Edit};
use casebridge::store::{Cursor, Write, Writer, Written};

use super::{Bench, comment, deposited, load, news, peer, write};

fn says(incident: casebridge::case::IncidentId, writer: Writer, comment: Comment) -> Write {
    let edit = Edit { comments: vec![comment], ..Edit::default() };
    Write { edit, ..Write::to(incident, writer) }
}

pub async fn an_edit_of_our_own_is_news_and_comes_behind_every_comment(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut cursor = Cursor::default();
    let incident = deposited(&store, "edge-1").await;
    for number in [1, 2] {
        assert_eq!(write(&store, says(incident, Writer::Operator, comment(number, "first"))).await, Written::Done);
    }
    news(&store, &mut cursor).await;
    let last = load(&store, incident).await.comments.iter().map(|one| one.position).max();
    let edited = Comment { edits: 1, language: Some("fr".into()), ..comment(1, "second") };
    assert_eq!(write(&store, says(incident, Writer::Operator, edited)).await, Written::Done);
    assert_eq!(news(&store, &mut cursor).await, [incident]);
    let comments = load(&store, incident).await.comments;
    let one = comments.iter().find(|one| one.edits == 1).unwrap();
    assert_eq!((one.text.as_str(), one.language.as_deref(), comments.len()), ("second", Some("fr"), 2));
    assert!(Some(one.position) > last);
    assert!(
        comments.iter().any(|one| one.text == "first" && Some(one.position) == last),
        "the other stays in its place"
    );
}

pub async fn an_edit_that_comes_late_or_twice_changes_nothing(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let from_peer = |edits, text| Comment { origin: Some(peer()), edits, ..comment(1, text) };
    for one in [from_peer(0, "first"), from_peer(2, "third"), from_peer(1, "second"), from_peer(2, "third again")] {
        write(&store, says(incident, Writer::Bridge, one)).await;
    }
    let comments = load(&store, incident).await.comments;
    assert_eq!((comments[0].text.as_str(), comments[0].edits, comments.len()), ("third", 2, 1));
}

pub async fn what_yields_takes_the_text_of_its_author_however_often_it_was_edited_here(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    let from_peer = |edits, text| Comment { origin: Some(peer()), edits, ..comment(1, text) };
    write(&store, says(incident, Writer::Bridge, from_peer(3, "altered"))).await;
    for edits in [1, 1] {
        let yields = vec![comment(1, "").id];
        let one = says(incident, Writer::Bridge, from_peer(edits, "the author's"));
        write(&store, Write { yields, ..one }).await;
    }
    let comments = load(&store, incident).await.comments;
    assert_eq!((comments[0].text.as_str(), comments[0].edits, comments.len()), ("the author's", 1, 1));

    // Our own yields to nobody.
    write(&store, says(incident, Writer::Operator, comment(2, "ours"))).await;
    let one = says(incident, Writer::Bridge, Comment { origin: Some(peer()), ..comment(2, "not theirs to change") });
    write(&store, Write { yields: vec![comment(2, "").id], ..one }).await;
    let comments = load(&store, incident).await.comments;
    assert!(comments.iter().any(|one| (one.text.as_str(), one.edits) == ("ours", 0)), "{comments:?}");
}

pub async fn nobody_edits_what_another_site_wrote(bench: &dyn Bench) {
    let store = bench.open().await;
    let incident = deposited(&store, "edge-1").await;
    write(&store, says(incident, Writer::Operator, comment(1, "ours"))).await;
    let theirs = Comment { origin: Some(peer()), edits: 9, ..comment(1, "not theirs to change") };
    write(&store, says(incident, Writer::Bridge, theirs)).await;
    let comments = load(&store, incident).await.comments;
    assert_eq!((comments[0].text.as_str(), comments[0].origin.as_ref(), comments.len()), ("ours", None, 1));
}

pub async fn what_a_peer_edits_is_no_news_and_has_a_new_place(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut cursor = Cursor::default();
    let incident = deposited(&store, "edge-1").await;
    let from_peer = |edits, deleted, text| Comment { origin: Some(peer()), edits, deleted, ..comment(1, text) };
    write(&store, says(incident, Writer::Bridge, from_peer(0, false, "first"))).await;
    news(&store, &mut cursor).await;
    let before = load(&store, incident).await.comments[0].position;
    write(&store, says(incident, Writer::Bridge, from_peer(1, true, ""))).await;
    assert_eq!(news(&store, &mut cursor).await, []);
    let comments = load(&store, incident).await.comments;
    assert!(comments[0].deleted && comments[0].position > before);
}
