//! What somebody does to the audit log with a `sqlite3` shell, and that it shows.

use serde_json::json;

use super::*;
use crate::store::Audit;
use crate::store::testing::Place;

fn act(number: usize) -> Audit {
    Audit {
        actor: Actor::user("7", "ann"),
        action: if number.is_multiple_of(2) { "plugin.enable" } else { "token.create" },
        subject: format!("subject {number}"),
        detail: json!({ "number": number }),
        ip: number.is_multiple_of(3).then(|| "192.0.2.1".to_owned()),
        request_id: Some(format!("r-{number}")),
    }
}

/// A closed store with so many rows.
async fn written(rows: usize) -> Place {
    let place = Place::new();
    let store = place.open();
    for number in 1..=rows {
        store.audit(act(number)).await.expect("is written");
    }
    store.close().await;
    place
}

fn shell(place: &Place, statements: &str) {
    Connection::open(place.database()).expect("opens").execute_batch(statements).expect(statements);
}

/// What is found after these statements, by number.
#[track_caller]
fn check(place: &Place, statements: &str, expected: &[(u64, &str)]) {
    shell(place, statements);
    let report = verify_audit_file(&place.database(), None).expect("reads");
    let found: Vec<(u64, &str)> =
        report.findings.iter().map(|finding| (finding.number, finding.message.as_str())).collect();
    let matches = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| found.0 == expected.0 && found.1.contains(expected.1));
    assert!(matches, "{statements}\nfound {found:#?}\nexpected {expected:#?}");
    assert_eq!(report.intact, expected.is_empty());
}

#[tokio::test]
async fn an_untouched_log_is_intact() {
    let place = written(7).await;
    check(&place, "", &[]);
    let report = verify_audit_file(&place.database(), None).expect("reads");
    assert_eq!((report.rows, report.removed), (7, 0));
    assert!(report.head.starts_with("7:"), "{}", report.head);
}

#[tokio::test]
async fn each_change_of_a_row_shows() {
    for change in [
        "subject = 'another'",
        "action = 'room.create'",
        "detail = '{}'",
        "time = time + 1",
        "actor = replace(actor, 'ann', 'bob')",
        "ip = NULL",
        "request_id = ''",
    ] {
        let place = written(7).await;
        check(&place, &format!("UPDATE audit SET {change} WHERE number = 3"), &[(3, "not as it was written")]);
    }
    let place = written(3).await;
    check(&place, "UPDATE audit SET subject = x'00' WHERE number = 2", &[(2, "a type that was never written")]);
}

#[tokio::test]
async fn a_forged_hash_shows_in_the_next_row() {
    let place = written(7).await;
    check(
        &place,
        "UPDATE audit SET subject = 'another', hash = randomblob(32) WHERE number = 3",
        &[(3, "not as it was written"), (4, "not as it was written")],
    );
}

#[tokio::test]
async fn a_removed_row_shows() {
    check(&written(7).await, "DELETE FROM audit WHERE number = 3", &[(3, "is missing")]);
    check(&written(7).await, "DELETE FROM audit WHERE number IN (3, 4)", &[(3, "up to 4 are missing")]);
    check(&written(7).await, "DELETE FROM audit WHERE number < 3", &[(1, "up to 2 are missing")]);
    // Closing the ranks does not hide it.
    check(
        &written(4).await,
        "DELETE FROM audit WHERE number = 3; UPDATE audit SET number = 3 WHERE number = 4;",
        &[(3, "not as it was written"), (4, "the end was cut off")],
    );
}

#[tokio::test]
async fn reordered_rows_show() {
    check(
        &written(7).await,
        "UPDATE audit SET number = -1 WHERE number = 3; UPDATE audit SET number = 3 WHERE number = 4;
         UPDATE audit SET number = 4 WHERE number = -1;",
        &[(3, "does not stand where it stood"), (4, "does not stand"), (5, "does not stand")],
    );
}

#[tokio::test]
async fn a_cut_tail_shows_and_stays_to_be_seen() {
    let place = written(7).await;
    check(&place, "DELETE FROM audit WHERE number > 5", &[(6, "up to 7 are missing: the end was cut off")]);
    let store = place.open();
    store.audit(act(8)).await.expect("is written");
    store.close().await;
    check(&place, "", &[(6, "up to 7 are missing")]);
    check(&written(3).await, "DELETE FROM audit", &[(1, "up to 3 are missing")]);
    check(&written(3).await, "DELETE FROM audit_chain", &[(0, "was emptied")]);
}

/// Whoever may write the file can write a whole new chain; then a head that was noted elsewhere tells.
#[tokio::test]
async fn a_log_written_anew_shows_against_a_noted_head() {
    let noted: Anchor =
        verify_audit_file(&written(5).await.database(), None).expect("reads").head.parse().expect("an anchor");
    let verify = |place: &Place| verify_audit_file(&place.database(), Some(noted)).expect("reads");
    let anew = verify(&written(6).await);
    assert_eq!(anew.findings.len(), 1, "{anew:?}");
    assert!(anew.findings[0].message.contains("written anew"), "{anew:?}");
    let cut = verify(&written(3).await);
    assert!(cut.findings[0].message.contains("was noted, so the end was cut off"), "{cut:?}");
    let place = written(5).await;
    let noted = verify_audit_file(&place.database(), None).expect("reads").head.parse().expect("an anchor");
    let store = place.open();
    store.audit(act(6)).await.expect("is written");
    assert!(store.verify_audit(Some(noted)).await.expect("reads").intact);
}

#[tokio::test]
async fn a_long_log_is_verified_in_strides() {
    let place = written(3).await;
    let store = place.open();
    let rows = STRIDE * 2;
    store
        .write(move |tx| {
            for number in 4..=rows {
                tx.audit(&act(number))?;
            }
            Ok(Ok::<_, StoreError>(()))
        })
        .await
        .expect("is written");
    let report = store.verify_audit(None).await.expect("reads");
    assert_eq!((report.intact, report.rows), (true, rows as u64), "{report:?}");
    assert_eq!(store.audit_head().await.expect("reads").to_string(), report.head);
    store.close().await;
    check(
        &place,
        &format!("UPDATE audit SET ip = 'x' WHERE number = {}", STRIDE + 1),
        &[(STRIDE as u64 + 1, "not as")],
    );
}

#[tokio::test]
async fn pages_are_newest_first_and_can_be_narrowed() {
    let place = written(7).await;
    let store = place.open();
    let numbers = async |query: AuditQuery| {
        let rows = store.audit_rows(AuditQuery { limit: 3, ..query }).await.expect("reads");
        rows.iter().map(|row| row.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(AuditQuery::default()).await, [7, 6, 5]);
    assert_eq!(numbers(AuditQuery { before: Some(3), ..AuditQuery::default() }).await, [2, 1]);
    let with = |text: &str| Some(text.to_owned());
    assert_eq!(numbers(AuditQuery { action: with("plugin.enable"), ..AuditQuery::default() }).await, [6, 4, 2]);
    assert_eq!(numbers(AuditQuery { action: with("token."), ..AuditQuery::default() }).await, [7, 5, 3]);
    assert_eq!(numbers(AuditQuery { action: with("token"), ..AuditQuery::default() }).await, [0; 0]);
    assert_eq!(numbers(AuditQuery { subject: with("subject 4"), ..AuditQuery::default() }).await, [4]);
    assert_eq!(numbers(AuditQuery { actor: with("ann"), ..AuditQuery::default() }).await, [7, 6, 5]);
    assert_eq!(numbers(AuditQuery { actor: with("bob"), ..AuditQuery::default() }).await, [0; 0]);
}

#[test]
fn anchors_are_read_as_written() {
    let anchor = Anchor { number: 12, hash: [0xab; 32] };
    assert_eq!(anchor.to_string().parse(), Ok(anchor));
    for wrong in ["", "12", "12:", "12:ab", "x:abab", &format!("12:{}", "é".repeat(32))] {
        assert_eq!(wrong.parse::<Anchor>(), Err(InvalidAnchor), "{wrong}");
    }
}
